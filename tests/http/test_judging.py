"""Evaluations over the API, how judging fares for programs, people and Prometheus."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from observability.judging import queue
from observability.judging.judgements import Judgement, Missed
from observability.models import Evaluation, Missing
from tests import judged, make
from tests.pages import queries_of, read_strictly, words

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def asker(key: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


@pytest.fixture
def reader() -> APIClient:
    return asker(make.key("read"))


def given_judged_calls(clock: time_machine.Traveller) -> None:
    """Four that gave scores, one whose text did not come, one that failed for good, and one that waits."""
    judged.judge(judged.prompt(), judged.evaluator())
    for number in range(7):
        judged.send_call(number)
    clock.shift(timedelta(seconds=10))
    claims = queue.claim(most=6)
    good = [Judgement(0.5, None, None, "m", Decimal("0.001"), 100.0 * n) for n in range(1, 5)]
    missed = [Missed(reason, "no", try_again=False) for reason in (Missing.NO_TEXT, Missing.REFUSED)]
    queue.settle(list(zip(claims, [*good, *missed], strict=True)))


def test_evaluations__digits_that_arithmetic_leaves__not_told(reader: APIClient, clock: Any) -> None:
    given_judged_calls(clock)
    Evaluation.objects.update(latency_ms=23.311202006880194, probability=0.01391999999999998)

    newest = reader.get("/api/v1/evaluations").json()["items"][3]
    judged = reader.get("/api/v1/judging").json()["items"][0]

    assert (newest["latency_ms"], newest["probability"]) == (23.3, 0.01392)
    assert judged["latency_ms"] == {"p50": 23.3, "p95": 23.3}


def test_evaluations__all__newest_first_with_what_became_of_them(reader: APIClient, clock: Any) -> None:
    given_judged_calls(clock)

    items = reader.get("/api/v1/evaluations").json()["items"]

    assert [item["status"] for item in items] == ["waiting", "missing", "missing", *["scored"] * 4]
    assert items[1]["missing"] == "refused"
    newest = items[3]
    assert (newest["prompt"], newest["evaluator"], newest["probability"]) == ("order-extractor", "faithfulness@1", 1.0)
    assert (newest["score"]["value"], newest["cost_usd"], newest["latency_ms"]) == (0.5, "0.001", 400.0)
    assert items[0]["next_attempt_at"] is not None
    assert newest["next_attempt_at"] is None


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("status=scored", 4),
        ("prompt=order-extractor&status=missing", 2),
        ("prompt=another", 0),
        ("evaluator=faithfulness", 7),
        ("evaluator=faithfulness@1", 7),
        ("evaluator=faithfulness@2", 0),
        ("evaluator=faithfulness@x", 0),
    ],
)
def test_evaluations__filtered__those_alone(reader: APIClient, clock: Any, query: str, number: int) -> None:
    given_judged_calls(clock)

    assert len(reader.get(f"/api/v1/evaluations?{query}").json()["items"]) == number


def test_evaluations__unknown_status__refused(reader: APIClient) -> None:
    assert reader.get("/api/v1/evaluations?status=lost").status_code == 422


def test_evaluations__restricted_key__only_its_prompts(clock: Any) -> None:
    given_judged_calls(clock)

    other = asker(make.restricted_key("read", prompt_prefix="chat-"))

    assert other.get("/api/v1/evaluations").json()["items"] == []
    assert other.get("/api/v1/judging").json()["items"] == []


def test_judging__a_day__counts_costs_and_times(reader: APIClient, clock: Any) -> None:
    given_judged_calls(clock)

    (item,) = reader.get("/api/v1/judging").json()["items"]

    assert (item["scored"], item["missing"], item["missing_by_reason"]) == (4, 2, {"no_text": 1, "refused": 1})
    assert (item["cost_usd"], item["priced"], item["waiting"]) == ("0.004", 4, 1)
    assert item["latency_ms"] == {"p50": 300.0, "p95": 400.0}
    assert item["oldest_waiting_since"] == "2026-03-14T12:00:00Z"


def test_judging__since_later__only_what_waits(reader: APIClient, clock: Any) -> None:
    given_judged_calls(clock)

    (item,) = reader.get("/api/v1/judging?since=2026-03-14T13:00:00Z&prompt=order-extractor").json()["items"]

    assert (item["scored"], item["missing"], item["waiting"]) == (0, 0, 1)


def test_page__judged_calls__their_figures(client: Client, clock: Any) -> None:
    given_judged_calls(clock)
    client.force_login(User.objects.create_user("ben", is_staff=True))

    page = client.get("/insights/judging")

    read_strictly(page)
    assert "4 scores in the last 24 hours" in words(page)
    assert "faithfulness@1" in words(page)


def test_page__nothing_judged__says_so(client: Client) -> None:
    client.force_login(User.objects.create_user("ben", is_staff=True))

    answer = client.get("/insights/judging?days=7")

    read_strictly(answer)
    assert "Nothing was judged in the last 7 days" in words(answer)


def test_page__many_calls__no_query_for_each(client: Client, clock: Any) -> None:
    client.force_login(User.objects.create_user("ben", is_staff=True))
    given_judged_calls(clock)
    before = queries_of(client, "/insights/judging")
    for number in range(20, 40):
        judged.send_call(number)

    assert queries_of(client, "/insights/judging") == before


def test_metrics__judged_calls__waiting_and_outcomes(client: Client, clock: Any) -> None:
    given_judged_calls(clock)

    text = client.get("/metrics").content.decode()

    assert "serinus_evaluations_waiting 1.0" in text
    assert "serinus_evaluations_oldest_seconds 10.0" in text
    assert 'serinus_evaluations_total{outcome="scored"} 4.0' in text
    assert 'serinus_evaluations_total{outcome="refused"} 1.0' in text

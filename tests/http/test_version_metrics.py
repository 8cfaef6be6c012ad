"""`GET /api/v1/metrics/versions`: figures of the versions, from roll-ups and from calls alike."""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from observability import rollups
from observability.core.scores import NewScore
from observability.models import VersionHour
from observability.services.scores import record_scores
from tests import make, observed, traces
from tests.observed import Seen, crowd, ingest

NOW = "2026-01-31T14:30:00Z"
SOME_DAYS = "2026-01-29T00:00:00Z"

pytestmark = pytest.mark.django_db


def get(**query: Any) -> Any:
    return Client().get("/api/v1/metrics/versions", query, headers={"Authorization": f"Bearer {make.key('read')}"})


def grouped(calls: Iterable[Seen], key: Callable[[Seen], Any]) -> dict[Any, list[Seen]]:
    groups: dict[Any, list[Seen]] = {}
    for call in calls:
        groups.setdefault(key(call), []).append(call)
    return groups


def check(item: dict[str, Any], calls: list[Seen]) -> None:
    """The item's figures are those of the calls, computed plainly."""
    answered = [call for call in calls if not call.error]
    priced = [call.cost_usd for call in calls if call.cost_usd is not None]
    assert item["calls"] == len(calls)
    assert item["errors"] == ({"429": len(calls) - len(answered)} if len(answered) < len(calls) else {})
    assert item["error_rate"] == pytest.approx(1 - len(answered) / len(calls))
    assert item["input_tokens"] == sum(call.input_tokens for call in calls)
    assert item["output_tokens"] == sum(call.output_tokens for call in calls)
    assert Decimal(item["cost_usd"]) == sum(priced)
    assert item["unpriced_calls"] == len(calls) - len(priced)
    if priced:
        assert float(item["cost_per_call_usd"]) == pytest.approx(float(sum(priced)) / len(priced))
    if answered:
        rate = sum(call.output_tokens for call in answered) / sum(call.duration_ms / 1000 for call in answered)
        assert item["output_tokens_per_second"] == pytest.approx(rate, rel=1e-5)
    streams = [call for call in answered if call.ttft_ms]
    check_times(item["latency_ms"], [call.duration_ms for call in answered])
    check_times(item["ttft_ms"], [call.ttft_ms or 0 for call in streams])
    gaps = [(call.duration_ms - (call.ttft_ms or 0)) / (call.output_tokens - 1) for call in streams]
    check_times(item["inter_token_ms"], gaps)
    check_scores(item["scores"], calls)


def check_times(found: dict[str, Any], values: list[float]) -> None:
    assert found["n"] == len(values)
    for share in (50, 95, 99):
        exact = sorted(values)[math.ceil(share / 100 * len(values)) - 1] if values else None
        assert found[f"p{share}"] == (exact and pytest.approx(exact, rel=0.01))


def check_scores(found: list[dict[str, Any]], calls: list[Seen]) -> None:
    given = grouped(
        [(name, value, source) for call in calls for name, value, source in call.scores],  # type: ignore[misc]
        lambda score: (score[0], score[2]),  # type: ignore[index]
    )
    assert [(score["name"], score["source"], score["n"]) for score in found] == [
        (*key, len(scores)) for key, scores in sorted(given.items())
    ]
    for score in found:
        values = [value for _, value, _ in given[score["name"], score["source"]]]  # type: ignore[misc]
        assert score["mean"] == pytest.approx(sum(values) / len(values))
        assert 0 <= score["interval"][0] <= score["mean"] <= score["interval"][1] <= 1


@pytest.mark.parametrize("rolled", [False, True])
@time_machine.travel(NOW, tick=False)
def test_metrics__by_all_groupings__as_computed_plainly(rolled: bool) -> None:
    calls = crowd(400, ages_h=(0.1, 1.2, 3, 30))
    if rolled:
        rollups.roll_up()

    items = get(since=SOME_DAYS, by="version,label,environment,feature").json()["items"]

    groups = grouped(
        calls, lambda call: (call.prompt, call.version, call.known_version, call.label, call.environment, call.feature)
    )
    keys = ("prompt", "version", "known_version", "label", "environment", "feature")
    assert len(items) == len(groups)
    for item in items:
        check(item, groups[tuple(item[key] for key in keys)])


@pytest.mark.parametrize("rolled", [False, True])
@time_machine.travel(NOW, tick=False)
def test_metrics__scores_of_calls_chosen_with_unequal_probabilities__weighted_by_what_they_stand_for(
    rolled: bool,
) -> None:
    chosen = [(0.0, 1.0, False), (0.0, 1.0, False), (1.0, 0.02, True), (0.5, 0.02, True), (1e-200, None, True)]
    ingest(*(traces.span(number=number, trace=number, age_s=3 * 3600) for number in range(len(chosen))))
    record_scores(
        scores=[
            NewScore(
                name="faithfulness",
                value=value,
                source="judge",
                span_id=traces.span_id(number).hex(),
                probability=probability,
                by_design=by_design,
            )
            for number, (value, probability, by_design) in enumerate(chosen)
        ]
    )
    if rolled:
        rollups.roll_up()

    (item,) = get(since=SOME_DAYS).json()["items"]

    (found,) = item["scores"]
    assert (found["n"], found["weighted"]) == (5, True)
    assert found["mean"] == pytest.approx(75 / 103)
    assert found["effective_n"] == round(103**2 / (3 + 2 * 50**2), 1)
    assert found["interval"][0] < found["mean"] < found["interval"][1]


@time_machine.travel(NOW, tick=False)
def test_metrics__roll_up_of_the_release_before__its_scores_count_once_each() -> None:
    ingest(traces.span(age_s=3 * 3600))
    rollups.roll_up()
    VersionHour.objects.update(scores={"faithfulness": {"judge": [4, 3.0, 3.0]}})

    (item,) = get(since=SOME_DAYS).json()["items"]

    (found,) = item["scores"]
    assert (found["n"], found["effective_n"], found["weighted"], found["mean"]) == (4, 4, False, 0.75)


@pytest.mark.parametrize("rolled", [False, True])
@time_machine.travel(NOW, tick=False)
def test_metrics__of_a_prompt_by_version__as_computed_plainly(rolled: bool) -> None:
    calls = [call for call in crowd(400, ages_h=(0.1, 1.2, 30)) if call.prompt == "order-extractor"]
    if rolled:
        rollups.roll_up()

    items = get(since=SOME_DAYS, prompt="order-extractor").json()["items"]

    groups = grouped(calls, lambda call: call.version)
    assert {item["version"]: item["known_version"] for item in items} == {"v1.0": True, "v1.1": True, "v9.9": False}
    assert [item["calls"] for item in items] == sorted((len(found) for found in groups.values()), reverse=True)
    for item in items:
        check(item, groups[item["version"]])


@time_machine.travel(NOW, tick=False)
def test_metrics__by_day_and_hour__each_interval_its_own_calls() -> None:
    crowd(200, ages_h=(0.1, 1.2, 30))
    rollups.roll_up()

    by_day = Counter[str]()
    for item in get(since=SOME_DAYS, interval="day").json()["items"]:
        by_day[item["start"]] += item["calls"]
    by_hour = Counter[str]()
    for item in get(since=SOME_DAYS, interval="hour").json()["items"]:
        by_hour[item["start"]] += item["calls"]

    assert list(by_day) == ["2026-01-31T00:00:00Z", "2026-01-30T00:00:00Z"]
    assert list(by_hour) == ["2026-01-31T14:00:00Z", "2026-01-31T13:00:00Z", "2026-01-30T08:00:00Z"]
    assert sum(by_day.values()) == sum(by_hour.values()) == 200


@time_machine.travel(NOW, tick=False)
def test_metrics__silent_query__the_last_day_in_all_by_version() -> None:
    crowd(50, ages_h=(1.2, 30))

    answer = get().json()

    assert (answer["since"], answer["until"]) == ("2026-01-30T14:00:00Z", "2026-01-31T15:00:00Z")
    assert {item["start"] for item in answer["items"]} == {"2026-01-30T14:00:00Z"}
    assert answer["left_out"] == 0


@pytest.mark.parametrize(
    ("until", "end"),
    [
        ("2026-01-31T14:00:00Z", "2026-01-31T14:00:00Z"),
        ("2026-01-31T14:00:01Z", "2026-01-31T15:00:00Z"),
        ("2026-01-31T19:15:00+05:30", "2026-01-31T14:00:00Z"),
    ],
)
def test_metrics__until__to_the_end_of_its_hour(until: str, end: str) -> None:
    assert get(until=until).json()["until"] == end


@time_machine.travel(NOW, tick=False)
def test_metrics__embeddings_and_held_attempts__are_no_calls_of_a_version() -> None:
    from observability.models import Call

    observed.ingest(
        traces.span({"gen_ai.operation.name": "embeddings"}, number=1), traces.span(number=2), traces.span(number=3)
    )
    Call.objects.filter(span_id=traces.span_id(3)).update(held=True)

    assert [item["calls"] for item in get().json()["items"]] == [1]


@time_machine.travel(NOW, tick=False)
def test_metrics__limit__the_rest_is_counted() -> None:
    crowd(100, ages_h=(0.1,))

    answer = get(by="version,environment,feature", limit=2).json()

    assert len(answer["items"]) == 2
    assert answer["left_out"] > 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"model": "gpt-4o"}, "model"),
        ({"by": "version,colour"}, "by"),
        ({"interval": "minute"}, "interval"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "since"),
        ({"since": "1970-01-01T00:00:00Z"}, "since"),
        ({"until": "0001-01-01T00:00:00Z"}, "until"),
        ({"until": "9999-12-31T23:59:59Z"}, "until"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since"),
        ({"limit": "0"}, "limit"),
    ],
)
def test_metrics__wrong_parameter__422_that_names_it(query: dict[str, str], field: str) -> None:
    response = get(**query)

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


@time_machine.travel(NOW, tick=False)
def test_metrics__number_of_queries__the_same_for_any_number_of_hours(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    crowd(200, ages_h=(1.2, 3, 5, 30))
    rollups.roll_up()
    key = {"Authorization": f"Bearer {make.key('read')}"}

    # The key, the state, stale hours, stored hours, calls of the hours that are not rolled up, versions.
    with django_assert_num_queries(6):
        Client().get("/api/v1/metrics/versions", {"since": SOME_DAYS}, headers=key)


@pytest.mark.parametrize(("scope", "status"), [("ingest", 403), ("read", 200)])
def test_metrics__scope(scope: str, status: int) -> None:
    key = make.key(scope)
    response = Client().get("/api/v1/metrics/versions", headers={"Authorization": f"Bearer {key}"})

    assert response.status_code == status

"""`GET /api/v1/traces/{id}`: one trace drawn out, whatever its client made of it."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from observability.core.scores import NewScore
from observability.models import Call, OtherSpan
from observability.selectors import traces as selector
from observability.services.scores import record_scores
from tests import make, traces
from tests.observed import ingest

RETRIEVE: dict[str, Any] = {}

pytestmark = pytest.mark.django_db


def get(trace: int = 0, **query: str) -> Any:
    address = f"/api/v1/traces/{traces.trace_id(trace).hex()}"
    return Client().get(address, query, headers={"Authorization": f"Bearer {make.key('read')}"})


def named(span: Any, name: str) -> Any:
    span.name = name
    return span


def names(nodes: list[dict[str, Any]]) -> list[str]:
    return [node["name"] for node in nodes]


def test_trace__spans_and_calls__nested_with_their_times() -> None:
    ingest(
        named(traces.span(RETRIEVE, number=0, ms=1000, age_s=10), "answer"),
        named(traces.span(RETRIEVE, number=1, parent=0, ms=200, age_s=10.7), "retrieve"),
        named(traces.span(traces.CHAT, number=2, parent=0, ms=600, age_s=10.05, failed=True), "chat"),
    )
    record_scores(scores=[NewScore(name="tone", value=1, source="judge", span_id=traces.span_id(2).hex())])

    answer = get().json()

    assert (answer["spans"], answer["cut"]) == (3, False)
    assert answer["duration_ms"] == pytest.approx(1000, abs=5)
    (top,) = answer["tree"]
    retrieve, chat = top["children"]
    assert names([top, retrieve, chat]) == ["answer", "retrieve", "chat"]
    assert [retrieve["offset_ms"], chat["offset_ms"]] == [pytest.approx(100, abs=5), pytest.approx(350, abs=5)]
    assert (top["kind"], chat["kind"], chat["status"]) == ("span", "llm", "error")
    assert top["self_ms"] == pytest.approx(200, abs=5)
    assert top["call"] is None
    assert chat["call"]["error"] is True
    assert [score["name"] for score in chat["call"]["scores"]] == ["tone"]
    assert answer["dominant"] == answer["stages"][0]
    assert (answer["dominant"]["name"], answer["dominant"]["spans"]) == ("chat", 1)
    assert answer["dominant"]["share"] == pytest.approx(0.6, abs=0.01)


def test_trace__parent_of_another_request__unknown_and_flagged() -> None:
    ingest(traces.span(number=1, parent=99))

    (top,) = get().json()["tree"]

    assert (top["orphan"], top["parent_id"]) == (True, traces.span_id(99).hex())


def test_trace__second_span_of_a_call__tells_which() -> None:
    ingest(traces.span(number=1), traces.span(RETRIEVE, number=2, parent=1), traces.span(number=3, trace=1))
    one, other = Call.objects.order_by("trace_id")
    OtherSpan.objects.create(trace_id=traces.trace_id(0), span_id=traces.span_id(2), call=other)

    (twin,) = get().json()["tree"][0]["children"]

    assert twin["kind"] == "twin"
    assert twin["tells_of"] == {"trace_id": traces.trace_id(1).hex(), "span_id": traces.span_id(3).hex()}
    assert one.pk != other.pk


def test_trace__too_many_spans__the_first_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selector, "MOST_SPANS", 3)
    ingest(*(traces.span(number=number, age_s=100 - number) for number in range(5)))

    answer = get().json()

    assert (answer["spans"], answer["cut"]) == (3, True)
    assert [node["span_id"] for node in answer["tree"]] == [traces.span_id(number).hex() for number in range(3)]


def test_trace__as_deep_as_it_has_spans__readable() -> None:
    ingest(*(traces.span(number=number, parent=number - 1 if number else None) for number in range(1500)))

    assert get().json()["spans"] == 1500


def test_trace__unknown__404() -> None:
    response = get(7)

    assert (response.status_code, response.json()["code"]) == (404, "unknown_trace")


def test_trace__no_trace_id__404() -> None:
    response = Client().get("/api/v1/traces/5b8e", headers={"Authorization": f"Bearer {make.key('read')}"})

    assert response.status_code == 404


def test_trace__unknown_parameter__422_that_names_it() -> None:
    response = get(depth="3")

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["depth"]


def test_trace__number_of_queries__the_same_for_any_trace(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    ingest(*(traces.span(number=number) for number in range(60)))
    key = {"Authorization": f"Bearer {make.key('read')}"}

    with django_assert_num_queries(5):  # the key, spans, calls with versions, their scores, twins
        Client().get(f"/api/v1/traces/{traces.TRACE_ID.hex()}", headers=key)

"""`GET /api/v1/calls`: what the traces told, read back."""

from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.services.scores import record_scores
from tests import make, traces

FULL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2026-01-15",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.response.time_to_first_chunk": 0.04,
    "gen_ai.request.stream": True,
    "gen_ai.usage.input_tokens": 240,
    "gen_ai.usage.output_tokens": 11,
    "gen_ai.usage.cache_read.input_tokens": 120,
    "gen_ai.usage.reasoning.output_tokens": 0,
    "gen_ai.prompt.name": "order-extractor",
    "gen_ai.prompt.version": "2.3",
    "serinus.exposure": "rol_1:0:canary:182",
    "user.id": "user-42",
    "session.id": "sess-7",
    "feature": "checkout",
    "deployment.environment.name": "production",
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def key() -> str:
    return make.key("read")


def ingest(*spans: Any) -> None:
    writer.store(decode_protobuf(traces.body(*spans), WANTED).spans)


def get(key: str, **query: Any) -> Any:
    return Client().get("/api/v1/calls", query, headers={"Authorization": f"Bearer {key}"})


def span_ids(response: Any) -> list[str]:
    return [call["span_id"] for call in response.json()["items"]]


def hex_ids(*numbers: int) -> list[str]:
    return [traces.span_id(number).hex() for number in numbers]


def test_calls__every_field(key: str) -> None:
    make.version(make.prompt(), "2.3")
    ingest(traces.span(FULL, ms=100))
    record_scores(
        scores=[NewScore(id="s1", name="tone", value=0.5, source="judge", response_id="chatcmpl-1", evaluator="j7")]
    )

    response = get(key)

    assert response.json()["next"] is None
    (call,) = response.json()["items"]
    (score,) = call.pop("scores")
    started_at, user_hash = datetime.fromisoformat(call.pop("started_at")), call.pop("user_hash")
    assert datetime.now(UTC) - started_at < timedelta(minutes=1)
    assert len(user_hash) == 64
    assert call == {
        "trace_id": traces.TRACE_ID.hex(),
        "span_id": traces.SPAN_ID.hex(),
        "response_id": "chatcmpl-1",
        "prompt": "order-extractor",
        "version": "v2.3",
        "label": None,
        "exposure": "rol_1:0:canary:182",
        "provider": "openai",
        "request_model": "gpt-4o-mini",
        "response_model": "gpt-4o-mini-2026-01-15",
        "operation": "chat",
        "stream": True,
        "input_tokens": 240,
        "output_tokens": 11,
        "cached_tokens": 120,
        "cache_write_tokens": None,
        "reasoning_tokens": 0,
        "ttft_ms": 40,
        "inter_token_ms": 6,  # (100 - 40) ms over 10 gaps
        "duration_ms": 100,
        "cost_usd": "0.0000336",  # a million tokens of gpt-4o-mini: 0.15 in, 0.075 cached, 0.6 out
        "cost_source": "genai-prices",
        "price_version": version("genai-prices"),
        "reported_usd": None,
        "attempts": 1,
        "finish_reason": "stop",
        "error": False,
        "error_class": None,
        "session": "sess-7",
        "feature": "checkout",
        "environment": "production",
    }
    del score["received_at"]
    assert score == {
        "id": "s1",
        "name": "tone",
        "value": 0.5,
        "label": None,
        "comment": None,
        "source": "judge",
        "evaluator": "j7",
        "counts": True,
        "probability": None,
        "by_design": True,
    }


def test_calls__what_the_client_did_not_say__null(key: str) -> None:
    ingest(traces.span(traces.CHAT))

    (call,) = get(key).json()["items"]

    given = {name for name, value in call.items() if value not in (None, [])}
    assert given == {"trace_id", "span_id", "operation", "duration_ms", "attempts", "error", "started_at"}


@pytest.mark.parametrize("reported", [0.00123, "0.00123"])
def test_calls__cost_that_was_reported_of_an_unknown_model__as_it_was(key: str, reported: Any) -> None:
    house = {"gen_ai.request.model": "house-model", "gen_ai.response.model": "house-model"}
    ingest(traces.span(FULL | house | {"gen_ai.usage.cost": reported}))

    (call,) = get(key).json()["items"]
    assert (call["cost_usd"], call["cost_source"]) == ("0.00123", "reported")


def test_calls__cost_of_nothing__a_plain_zero(key: str) -> None:
    ingest(traces.span(traces.CHAT | {"gen_ai.usage.cost": 0}))

    (call,) = get(key).json()["items"]
    assert (call["cost_usd"], call["cost_source"]) == ("0", "reported")


def test_calls__unknown_version__as_it_was_sent(key: str) -> None:
    ingest(traces.span(FULL | {"gen_ai.prompt.version": "sunrise"}))

    assert [call["version"] for call in get(key).json()["items"]] == ["sunrise"]


def test_calls__newest_first_page_by_page(key: str) -> None:
    ages = {0: 30, 1: 10, 2: 20, 3: 10, 4: 40}  # 1 and 3 started at about the same time
    ingest(*(traces.span(number=number, age_s=age) for number, age in ages.items()))

    pages, cursor = [], ""
    while cursor is not None:
        answer = get(key, limit=2, **({"cursor": cursor} if cursor else {})).json()
        pages.append([call["span_id"] for call in answer["items"]])
        cursor = answer["next"]

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [*map(set, pages)] == [set(hex_ids(1, 3)), set(hex_ids(2, 0)), set(hex_ids(4))]


def test_calls__same_start__each_on_one_page(key: str) -> None:
    first = traces.span()
    others = [traces.span(number=number) for number in range(1, 7)]
    for other in others:
        other.start_time_unix_nano = first.start_time_unix_nano
    ingest(first, *others)

    found, cursor = [], ""
    while cursor is not None:
        answer = get(key, limit=3, **({"cursor": cursor} if cursor else {})).json()
        found += [call["span_id"] for call in answer["items"]]
        cursor = answer["next"]

    assert sorted(found) == sorted(hex_ids(*range(7)))


def test_calls__filters(key: str) -> None:
    make.version(make.prompt(), "2.3")
    ingest(
        traces.span(FULL, number=0, trace=0, age_s=10),
        traces.span(FULL | {"gen_ai.prompt.version": "v2.9"}, number=1, trace=1, age_s=20),
        traces.span(FULL | {"gen_ai.prompt.name": "output-guard"}, number=2, trace=1, age_s=4000),
        traces.span(FULL | {"gen_ai.prompt.version": 1}, number=3, trace=2, age_s=5000),
    )
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()

    assert span_ids(get(key, trace_id=traces.trace_id(1).hex())) == hex_ids(1, 2)
    assert span_ids(get(key, prompt="order-extractor")) == hex_ids(0, 1, 3)
    assert span_ids(get(key, since=an_hour_ago)) == hex_ids(0, 1)
    assert span_ids(get(key, prompt="order-extractor", since=an_hour_ago)) == hex_ids(0, 1)
    assert span_ids(get(key, version="v2.9")) == hex_ids(1)
    for written in ("v2.3", "2.3", "2.3.0", "1", "v1"):  # 2.3 is the prompt's first version
        assert set(hex_ids(0, 3)) <= set(span_ids(get(key, prompt="order-extractor", version=written)))
    assert span_ids(get(key, version="sunrise")) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"model": "gpt-4o"}, "model"),
        ({"trace_id": "5b8e"}, "trace_id"),
        ({"since": "yesterday"}, "since"),
    ],
)
def test_calls__wrong_parameter__422_that_names_it(key: str, query: dict[str, str], field: str) -> None:
    response = get(key, **query)

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_calls__number_of_queries__the_same_for_any_page(
    key: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make.version(make.prompt(), "2.3")
    ingest(*(traces.span(FULL, number=number) for number in range(60)))
    record_scores(scores=[NewScore(name="tone", value=1, source="judge", span_id=hex_ids(n)[0]) for n in range(60)])

    with django_assert_num_queries(3):  # the key, the calls with their versions, their scores
        answer = get(key, limit=50).json()

    assert len(answer["items"]) == 50
    assert all(call["scores"] for call in answer["items"])


@pytest.mark.parametrize(("scope", "status"), [("ingest", 403), ("read", 200), ("write", 200)])
def test_calls__scope(scope: str, status: int) -> None:
    assert get(make.key(scope)).status_code == status


def test_calls__every_field_is_in_the_reference(key: str) -> None:
    ingest(traces.span(FULL))
    page = (Path(__file__).parents[2] / "docs" / "reference" / "otlp.md").read_text()

    (call,) = get(key).json()["items"]

    assert [name for name in call if f"`{name}`" not in page] == []

"""What a forecast asks of the past: how much traffic there is, and how much of it was observed for what."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from common.clock import now
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.selectors import traffic
from observability.services.scores import record_scores
from tests import make, traces

STAMP = traces.CHAT | {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "v2.3"}
EMBEDDINGS = STAMP | {"gen_ai.operation.name": "embeddings"}
DAY_S = 86_400
NOTHING = {
    "error_rate": 0,
    "latency": 0,
    "ttft": 0,
    "inter_token_latency": 0,
    "tokens": 0,
    "cost_per_call": 0,
    "output_valid": 0,
}

pytestmark = pytest.mark.django_db


def ingest(*spans: Any) -> None:
    writer.store(decode_protobuf(traces.body(*spans), WANTED).spans)


def score(number: int, value: float, name: str = "faithfulness") -> None:
    """A score of the call whose span has this number."""
    span_id = traces.span_id(number).hex()
    record_scores(scores=[NewScore(name=name, value=value, source="judge", span_id=span_id)])


def a_week_ago() -> datetime:
    return now() - timedelta(days=7)


def test_traffic__llm_calls_of_the_prompt_since_then__and_those_with_a_score_of_each_name() -> None:
    make.version(make.prompt(), "2.3")
    ingest(
        traces.span(STAMP, number=0),
        traces.span(STAMP | {"gen_ai.prompt.version": "v1.0"}, number=1, failed=True),
        traces.span(STAMP, number=2, age_s=8 * DAY_S),
        traces.span(STAMP | {"gen_ai.prompt.name": "output-guard"}, number=3),
        traces.span(EMBEDDINGS, number=4),
    )
    for number, name in ((0, "faithfulness"), (0, "faithfulness"), (1, "faithfulness"), (1, "tone"), (2, "tone")):
        score(number, 1, name)
    score(3, 1)
    score(4, 1)

    found = traffic(prompt="order-extractor", since=a_week_ago())

    assert found.calls == 2
    assert found.observed == NOTHING | {"error_rate": 2, "latency": 1, "faithfulness": 2, "tone": 1}


def test_traffic__measures__of_how_many_calls_evidence_would_count_them() -> None:
    make.version(make.prompt(), "2.3")
    tokens = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20}
    streamed = {"gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": 0.05}
    ingest(
        traces.span(STAMP | tokens | {"gen_ai.usage.cost": 0.002}, number=0),
        traces.span(STAMP | tokens | streamed, number=1),
        traces.span(STAMP | tokens | streamed | {"gen_ai.usage.cost": 0.002}, number=2, failed=True),
        traces.span(STAMP | {"gen_ai.usage.input_tokens": 100}, number=3),
    )

    found = traffic(prompt="order-extractor", since=a_week_ago()).observed

    assert found == NOTHING | {
        "error_rate": 4,
        "latency": 3,
        "ttft": 1,
        "inter_token_latency": 1,
        "tokens": 3,
        "cost_per_call": 2,
    }


def test_traffic__all_of_it__in_two_queries() -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        traffic(prompt="order-extractor", since=a_week_ago())

    assert len(queries) == 2


def test_traffic__none__zero() -> None:
    found = traffic(prompt="order-extractor", since=a_week_ago())

    assert (found.calls, found.observed) == (0, NOTHING)

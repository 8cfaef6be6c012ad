"""What a forecast asks of the past: how much traffic there is, how much of it is scored, how the scores are spread."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from common.clock import now
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.selectors import Traffic, traffic, values_by_bin
from observability.services import record_scores
from registry.models import PromptVersion
from tests import make, traces

STAMP = traces.CHAT | {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "v2.3"}
EMBEDDINGS = STAMP | {"gen_ai.operation.name": "embeddings"}
DAY_S = 86_400

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> PromptVersion:
    return make.version(make.prompt(), "2.3")


def ingest(*spans: Any) -> None:
    writer.store(decode_protobuf(traces.body(*spans), WANTED).spans)


def score(number: int, value: float, name: str = "faithfulness") -> None:
    """A score of the call whose span has this number."""
    span_id = traces.span_id(number).hex()
    record_scores(scores=[NewScore(name=name, value=value, source="judge", span_id=span_id)])


def a_week_ago() -> datetime:
    return now() - timedelta(days=7)


def test_traffic__llm_calls_of_the_prompt_since_then__and_those_with_a_score_of_each_name(
    version: PromptVersion,
) -> None:
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

    assert found == Traffic(calls=2, scored={"faithfulness": 2, "tone": 1})


def test_traffic__none__zero() -> None:
    assert traffic(prompt="order-extractor", since=a_week_ago()) == Traffic(calls=0, scored={})


def test_values_by_bin__error_rate__calls_and_failures(version: PromptVersion) -> None:
    ingest(*(traces.span(STAMP, number=number, failed=number < 2) for number in range(5)))
    ingest(traces.span(EMBEDDINGS, number=5), traces.span(STAMP, number=6, age_s=8 * DAY_S))

    found = values_by_bin(version_id=version.pk, metric="error_rate", since=a_week_ago())

    assert found == {0: 3, 1000: 2}


def test_values_by_bin__score__the_first_of_each_call(version: PromptVersion) -> None:
    ingest(*(traces.span(STAMP, number=number) for number in range(4)))
    ingest(traces.span(EMBEDDINGS, number=4), traces.span(STAMP, number=5, age_s=8 * DAY_S))
    for number, value in ((0, 0.5), (0, 1.0), (1, 0.2501), (2, 0.2499), (3, 1.0), (4, 0.0), (5, 0.0)):
        score(number, value)
    score(0, 0.75, name="tone")

    found = values_by_bin(version_id=version.pk, metric="faithfulness", since=a_week_ago())

    assert found == {250: 2, 500: 1, 1000: 1}


@pytest.mark.parametrize("metric", ["error_rate", "faithfulness"])
def test_values_by_bin__nothing_known__nothing(version: PromptVersion, metric: str) -> None:
    assert values_by_bin(version_id=version.pk, metric=metric, since=a_week_ago()) == {}

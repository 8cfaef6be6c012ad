"""What a rollout asks of the past: baselines, names of scores, examples."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from common.clock import now
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.selectors import Baseline, ScoreName, baseline, example_trace_ids, score_names
from observability.services import record_scores
from registry.models import PromptVersion
from tests import make, traces

STAMP = traces.CHAT | {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "v2.3"}
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


def test_baseline__error_rate__llm_calls_of_the_version_since_then(version: PromptVersion) -> None:
    other = STAMP | {"gen_ai.prompt.version": "v1.0"}
    ingest(
        traces.span(STAMP, number=0),
        traces.span(STAMP, number=1, failed=True),
        traces.span(STAMP, number=2, failed=True, age_s=8 * DAY_S),
        traces.span(STAMP | {"gen_ai.operation.name": "embeddings"}, number=3, failed=True),
        traces.span(other, number=4, failed=True),
    )

    found = baseline(version_id=version.pk, metric="error_rate", since=a_week_ago())

    assert found == Baseline(n=2, total=1)


def test_baseline__score__the_first_of_each_call(version: PromptVersion) -> None:
    ingest(traces.span(STAMP, number=0), traces.span(STAMP, number=1), traces.span(STAMP, number=2, age_s=8 * DAY_S))
    for number, value in ((0, 0.5), (0, 1.0), (1, 0.25), (2, 1.0)):
        score(number, value)
    score(0, 1.0, name="tone")

    found = baseline(version_id=version.pk, metric="faithfulness", since=a_week_ago())

    assert found == Baseline(n=2, total=0.75)


@pytest.mark.parametrize("metric", ["error_rate", "faithfulness"])
def test_baseline__nothing_known__zero_of_zero(version: PromptVersion, metric: str) -> None:
    assert baseline(version_id=version.pk, metric=metric, since=a_week_ago()) == Baseline(n=0, total=0)


def test_score_names__of_the_prompt_and_whether_a_rate(version: PromptVersion) -> None:
    other = STAMP | {"gen_ai.prompt.name": "output-guard"}
    ingest(
        traces.span(STAMP, number=0),
        traces.span(STAMP, number=1),
        traces.span(other, number=2),
        traces.span(STAMP, number=3, age_s=8 * DAY_S),
    )
    score(0, 0.94)
    score(0, 1, name="hallucination")
    score(1, 0, name="hallucination")
    score(2, 1, name="politeness")
    score(3, 1, name="tone")

    names = score_names(prompt="order-extractor", since=a_week_ago())

    assert names == [
        ScoreName("faithfulness", only_zero_or_one=False),
        ScoreName("hallucination", only_zero_or_one=True),
    ]


def test_example_trace_ids__newest_of_the_arm_each_once(version: PromptVersion) -> None:
    canary, control = ({"serinus.exposure": f"rol_1:0:{arm}:1"} for arm in ("canary", "control"))
    ingest(*(traces.span(STAMP | canary, trace=trace, number=trace, age_s=100 - trace) for trace in range(4)))
    ingest(traces.span(STAMP | canary, trace=3, number=9, age_s=1), traces.span(STAMP | control, trace=5))

    found = example_trace_ids(rollout_id="rol_1", arm="canary", limit=3)

    assert found == [traces.trace_id(trace).hex() for trace in (3, 2, 1)]

"""What a rollout asks of the past: baselines, names of scores, examples."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from common.clock import now
from observability import evidence
from observability.core.dialects import WANTED
from observability.core.evidence import BUILT_IN_METRICS
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.models import Call
from observability.selectors import ScoreName, baseline, example_trace_ids, score_names
from observability.services.scores import record_scores
from registry.models import PromptVersion
from tests import make, traces
from tests.plans import plans, reads_as_a_whole

STAMP = traces.CHAT | {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "v2.3"}
EXPOSURE = "rol_1:0:canary:182"
DAY_S = 86_400

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> PromptVersion:
    return make.version(make.prompt(), "2.3")


def ingest(*spans: Any) -> None:
    writer.store(decode_protobuf(traces.body(*spans), WANTED).spans)


def call(number: int) -> Any:
    """A call of v2.3 under an exposure: some fail, some stream, some tell no tokens, some an output, right or wrong."""
    fields: dict[str, Any] = {"serinus.exposure": EXPOSURE}
    if number % 3:
        fields |= {"gen_ai.usage.input_tokens": 100 + 70 * (number % 2), "gen_ai.usage.output_tokens": 20}
    if number % 4:
        fields |= {"gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": 0.0123 + 0.01 * (number % 2)}
    if number % 5:
        fields |= {"gen_ai.usage.cost": 0.00123 * (1 + number % 6)}
    answer = '{"order": 7}' if number % 7 else "I cannot help with that"
    message = {"role": "assistant", "parts": [{"type": "text", "content": answer}]}
    fields |= {"gen_ai.output.messages": json.dumps([message]), "gen_ai.response.finish_reasons": ["stop"]}
    return traces.span(STAMP | fields, number=number, ms=100.3 + 10 * (number % 3), failed=number % 11 == 0)


def taken(version: PromptVersion, measure: str) -> dict[int, int]:
    with transaction.atomic():
        versions = {"control": 0, "canary": version.pk}
        return evidence.take(rollout_id="rol_1", step=0, metric=measure, versions=versions)["canary"]


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

    found = baseline(version_id=version.pk, measure="error_rate", since=a_week_ago())

    assert found == {0: 1, 1000: 1}


def test_baseline__score__the_first_of_each_call(version: PromptVersion) -> None:
    ingest(traces.span(STAMP, number=0), traces.span(STAMP, number=1), traces.span(STAMP, number=2, age_s=8 * DAY_S))
    for number, value in ((0, 0.5), (0, 1.0), (1, 0.25), (2, 1.0)):
        score(number, value)
    score(0, 1.0, name="tone")

    found = baseline(version_id=version.pk, measure="faithfulness", since=a_week_ago())

    assert found == {500: 1, 250: 1}


@pytest.mark.parametrize("measure", ["faithfulness", *sorted(BUILT_IN_METRICS)])
def test_baseline__nothing_known__no_bins(version: PromptVersion, measure: str) -> None:
    assert baseline(version_id=version.pk, measure=measure, since=a_week_ago()) == {}


@pytest.mark.parametrize("measure", sorted(BUILT_IN_METRICS))
def test_baseline__built_in_measure__what_evidence_counts(measure: str) -> None:
    schema = {"type": "object", "required": ["order"]}
    version = make.version(make.prompt(), "2.3", response_schema=schema)
    ingest(*(call(number) for number in range(40)))

    found = baseline(version_id=version.pk, measure=measure, since=a_week_ago())

    assert found == taken(version, measure)
    assert 1 < len(found) < sum(found.values())


def test_baseline__largest_and_smallest__first_and_last_bin(version: PromptVersion) -> None:
    nothing = {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}
    ingest(traces.span(STAMP | nothing | {"gen_ai.usage.cost": 0}, ms=0))

    assert baseline(version_id=version.pk, measure="latency", since=a_week_ago()) == {0: 1}
    assert baseline(version_id=version.pk, measure="tokens", since=a_week_ago()) == {0: 1}
    assert baseline(version_id=version.pk, measure="cost_per_call", since=a_week_ago()) == {0: 1}


def test_baseline__calls__found_by_an_index(version: PromptVersion) -> None:
    """On PostgreSQL any: which one it takes differs with what it knows of so small a table."""
    ingest(traces.span(STAMP))

    with plans() as found:
        baseline(version_id=version.pk, measure="latency", since=a_week_ago())

    assert not reads_as_a_whole(found[-1], Call)
    assert connection.vendor != "sqlite" or "calls_by_prompt" in found[-1]


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

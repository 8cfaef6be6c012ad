"""Whose scores are evidence: of a pinned evaluator's version alone, and only of calls that were chosen by design."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from observability.core.scores import NewScore
from observability.models import EvaluatorKind, Evidence, Score
from observability.selectors import baseline
from observability.services.scores import record_scores
from registry.models import PromptVersion
from tests import judgings, make, traces
from tests.observed import ingest

ROLLOUT = "rol_06b3t2k9w0x4y8z1c5d7"
EXPOSURE = f"{ROLLOUT}:0:canary:182"
SPAN = traces.span_id(0).hex()
PLAIN = {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "v2.3"}
STAMP = PLAIN | {"serinus.exposure": EXPOSURE}
CHOSEN = {"evaluator": "faithfulness@2", "probability": 0.4}

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> PromptVersion:
    return make.version(make.prompt(), "2.3")


@pytest.fixture
def pinned(version: PromptVersion) -> PromptVersion:
    """The rollout's calls are judged by faithfulness@2."""
    judgings.pin(ROLLOUT, judgings.evaluator(versions=2).versions.get(ordinal=2))
    return version


def call(attributes: dict[str, Any] = STAMP) -> None:
    ingest(traces.span(traces.CHAT | attributes))


def record(value: float, **fields: Any) -> None:
    score = {"name": "faithfulness", "source": "judge", "span_id": SPAN} | fields
    record_scores(scores=[NewScore(value=value, **score)])


def found() -> tuple[dict[int, int], dict[float, bool]]:
    """The open evidence, bin → n, and which scores count."""
    evidence = dict(Evidence.objects.filter(metric__in=("faithfulness", "tone")).values_list("bin", "n"))
    return evidence, dict(Score.objects.order_by("id").values_list("value", "counts"))


@pytest.mark.parametrize("call_first", [True, False])
def test_record__others_of_the_pinned_name__shown_and_not_counted(pinned: PromptVersion, *, call_first: bool) -> None:
    if call_first:
        call()
    record(0.1)
    record(0.2, evaluator="faithfulness@1", probability=0.4)
    record(0.3, **CHOSEN)
    record(0.4, **CHOSEN)
    if not call_first:
        call()

    assert found() == ({300: 1}, {0.1: False, 0.2: False, 0.3: True, 0.4: False})


def test_record__posted_under_the_pinned_name_by_somebody_else__no_evidence(pinned: PromptVersion) -> None:
    call()

    record(0.1, evaluator="faithfulness@2")

    assert found() == ({}, {0.1: False})


def test_record__pinned_evaluator_is_external__what_is_posted_under_its_name_counts(version: PromptVersion) -> None:
    judgings.pin(ROLLOUT, judgings.evaluator(kind=EvaluatorKind.EXTERNAL).versions.get())
    call()

    record(0.1, evaluator="somebody")
    record(0.2, evaluator="faithfulness@1")

    assert found() == ({200: 1}, {0.1: False, 0.2: True})


def test_record__another_name_than_the_pinned__as_ever(pinned: PromptVersion) -> None:
    call()

    record(0.1, name="tone")

    assert found() == ({100: 1}, {0.1: True})


def test_record__by_exposure_alone_of_the_pinned_name__not_counted(pinned: PromptVersion) -> None:
    record(0.1, span_id=None, exposure=EXPOSURE)
    record(0.2, span_id=None, exposure=EXPOSURE, name="tone")

    assert found() == ({200: 1}, {0.1: False, 0.2: True})


@pytest.mark.parametrize("call_first", [True, False])
def test_record__chosen_because_it_failed__counts_and_is_no_evidence(
    version: PromptVersion, *, call_first: bool
) -> None:
    if call_first:
        call()
    record(0.1, probability=1.0, by_design=False)
    if not call_first:
        call()

    assert found() == ({}, {0.1: True})


def test_store__call_turns_out_to_be_of_the_rollout_later__only_the_pinned_is_evidence(pinned: PromptVersion) -> None:
    ingest(traces.span(traces.CHAT, number=0, parent=1))
    record(0.1)
    record(0.2, name="tone")

    ingest(traces.span({"gen_ai.operation.name": "invoke_agent"} | STAMP, number=1))

    assert found()[0] == {200: 1}


def test_record__score_of_a_call_outside_any_rollout__asks_for_no_pins(version: PromptVersion) -> None:
    call(PLAIN)

    with CaptureQueriesContext(connection) as captured:
        record(0.1)

    assert not any("judgedshare" in query["sql"] for query in captured)


def test_record__many_scores_of_rollouts__ask_once_for_their_pins(pinned: PromptVersion) -> None:
    ingest(*(traces.span(traces.CHAT | STAMP, number=number, trace=number) for number in range(9)))
    scores = [
        NewScore(name="tone", value=0.5, source="judge", span_id=traces.span_id(number).hex()) for number in range(9)
    ]

    with CaptureQueriesContext(connection) as captured:
        record_scores(scores=scores)

    assert sum("judgedshare" in query["sql"] for query in captured) == 1


def test_baseline__of_an_evaluator__of_its_version_and_by_design_alone(version: PromptVersion) -> None:
    for number, fields in enumerate(
        [CHOSEN, CHOSEN | {"evaluator": "faithfulness@1"}, CHOSEN | {"by_design": False}, {}]
    ):
        ingest(traces.span(traces.CHAT | PLAIN, number=number, trace=number))
        record(number / 10, span_id=traces.span_id(number).hex(), **fields)

    since = Score.objects.earliest("received_at").received_at.replace(year=2000)
    of_it = baseline(version_id=version.pk, measure="faithfulness", since=since, evaluator="faithfulness@2")
    of_all = baseline(version_id=version.pk, measure="faithfulness", since=since)

    assert of_it == {0: 1}
    assert of_all == {0: 1, 100: 1, 300: 1}

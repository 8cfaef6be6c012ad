"""Evaluations of OpenTelemetry: sent twice they count once, whatever way and order they come in."""

import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction

from common.clock import now
from observability import evidence
from observability.core.dialects import WANTED
from observability.core.evaluations import ATTRIBUTES, EVALUATION, scores_of, scores_of_events
from observability.core.otlp import Span, Wanted, decode_protobuf
from observability.core.otlp_logs import decode_protobuf as decode_logs
from observability.ingest import writer
from observability.models import Call, OtherSpan, Score
from observability.services import scores as services
from observability.services.scores import (
    Recorded,
    give_up_waiting_scores,
    join_waiting_scores,
    record,
    record_scores,
)
from registry.models import PromptVersion
from rollout.management.commands import run_evaluator
from tests import logs, make, parallel, traces

ROLLOUT = "rol_06b3t2k9w0x4y8z1c5d7"
STAMP = {
    "gen_ai.prompt.name": "order-extractor",
    "gen_ai.prompt.version": "v2.3",
    "gen_ai.response.id": "chatcmpl-1",
    "serinus.exposure": f"{ROLLOUT}:0:canary:182",
}
NS_PER_S = 10**9
AT_NS = time.time_ns() // NS_PER_S * NS_PER_S  # the beginning of a second
RESPONSE = {"gen_ai.response.id": "chatcmpl-1"}
WITH_EVENTS = Wanted(WANTED.attributes | ATTRIBUTES, WANTED.events | {EVALUATION})

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def version() -> PromptVersion:
    return make.version(make.prompt(), "2.3")


def ingest(attributes: dict[str, Any] = STAMP, **fields: Any) -> None:
    writer.store(decode_protobuf(traces.body(traces.span(traces.CHAT | attributes, **fields)), WANTED).spans)


def log(value: float = 0.25, *, after_s: float = 0, number: int | None = 0, **told: Any) -> Recorded:
    """A log record with an evaluation, in the span of the call or in none, this long after AT_NS."""
    at_ns = AT_NS + int(after_s * NS_PER_S)
    body = logs.body(logs.record(logs.attributes(value, **told), number=number, at_ns=at_ns))
    return record_scores(scores=scores_of(decode_logs(body))[0])


def evidence_of(version: PromptVersion, metric: str = "relevance") -> dict[int, int]:
    with transaction.atomic():
        versions = {"control": 0, "canary": version.pk}
        return evidence.take(rollout_id=ROLLOUT, step=0, metric=metric, versions=versions)["canary"]


def spans_with_event(*, is_call: bool = True, **told: Any) -> list[Span]:
    """The spans of a request: one, which carries an evaluation as its event."""
    span = traces.span(traces.CHAT | STAMP if is_call else {}, events=[(EVALUATION, logs.attributes(**told))])
    for event in span.events:
        event.time_unix_nano = AT_NS
    return decode_protobuf(traces.body(span), WITH_EVENTS).spans


@pytest.mark.parametrize("after_s", [0, 0.4, 1, -0.001, -1])  # over the edge of a second, too
@pytest.mark.parametrize("call_first", [True, False])
def test_same_evaluation__within_a_second__one_score(
    version: PromptVersion, after_s: float, *, call_first: bool
) -> None:
    if call_first:
        ingest()
    recorded = [log(), log(after_s=after_s)]
    if not call_first:
        ingest()

    assert [each.accepted for each in recorded] == [1, 0]
    assert [each.duplicates for each in recorded] == [0, 1]
    assert Score.objects.get().call == Call.objects.get()
    assert evidence_of(version) == {250: 1}


@pytest.mark.parametrize("second", [{"after_s": 1.001}, {"value": 0.26}, {"gen_ai.evaluation.name": "tone"}])
def test_other_evaluation__later_or_of_something_else__a_score_of_its_own(second: dict[str, Any]) -> None:
    ingest()
    log()

    assert log(**second).accepted == 1
    assert Score.objects.filter(call__isnull=False).count() == 2


@pytest.mark.parametrize("order", [["log", "other", "call"], ["log", "call", "other"], ["call", "other", "log"]])
def test_same_evaluation__by_span_and_by_response__one_score(version: PromptVersion, order: list[str]) -> None:
    steps = {"log": log, "other": lambda: log(number=None, after_s=0.5, **RESPONSE), "call": ingest}
    for step in order:
        steps[step]()

    assert Score.objects.get().call == Call.objects.get()
    assert evidence_of(version) == {250: 1}


def test_span_event_and_log_record__as_openlit_sends_both__one_score(version: PromptVersion) -> None:
    ingest()
    spans = spans_with_event()

    scores, rejected = scores_of_events(spans, {(spans[0].trace_id, spans[0].span_id)})
    recorded = [record_scores(scores=scores), log(after_s=0.01)]

    assert not rejected
    assert [each.accepted for each in recorded] == [1, 0]
    assert evidence_of(version) == {250: 1}


def test_span_event__in_a_span_that_is_no_call__about_its_trace_or_the_response_it_names() -> None:
    by_trace, _ = scores_of_events(spans_with_event(is_call=False), set())
    by_response, _ = scores_of_events(spans_with_event(is_call=False, **RESPONSE), set())

    targets = [score.target for score in (*by_trace, *by_response)]
    assert targets == [f"trace:{traces.TRACE_ID.hex()}", "response:chatcmpl-1"]


def test_span_event__that_is_no_score__counted_by_reason() -> None:
    scores, rejected = scores_of_events(spans_with_event(value=3.5), set())

    assert (scores, dict(rejected)) == ([], {"evaluations with a value outside 0 to 1": 1})


@pytest.mark.parametrize("call_first", [True, False])
def test_log_record__in_the_evaluators_own_span__the_call_of_the_response(
    version: PromptVersion, *, call_first: bool
) -> None:
    if call_first:
        ingest()
    log(number=7, **RESPONSE)
    if not call_first:
        ingest()

    assert Score.objects.get().call == Call.objects.get()
    assert evidence_of(version) == {250: 1}


def test_log_record__in_a_span_that_is_no_call__about_its_trace_after_a_minute(version: PromptVersion) -> None:
    log(number=5)
    ingest()
    ingest({"gen_ai.operation.name": "invoke_agent"}, number=5)
    joined_at_once = join_waiting_scores()

    with time_machine.travel(now() + timedelta(seconds=61)):
        joined = [join_waiting_scores(), join_waiting_scores()]

    assert (joined_at_once, joined) == (0, [1, 0])
    assert Score.objects.get().call == Call.objects.get()
    assert evidence_of(version) == {250: 1}


def test_log_record__in_a_span_that_has_not_come__goes_on_waiting_for_it(version: PromptVersion) -> None:
    ingest()
    log(number=5)

    with time_machine.travel(now() + timedelta(seconds=61)):
        join_waiting_scores()

    assert Score.objects.get().target == f"span:{traces.TRACE_ID.hex()}:{traces.span_id(5).hex()}"
    assert evidence_of(version) == {}


@pytest.mark.django_db(transaction=True)
def test_evaluator__once_a_minute__gives_up(settings: Any) -> None:
    settings.SCORES_WAIT = timedelta(days=2)
    log()

    with time_machine.travel(now() + timedelta(days=3)):
        run_evaluator.run(OneTick())  # type: ignore[arg-type]

    assert Score.objects.get().gave_up


class OneTick:
    """Instead of the event that stops the evaluator: it does each of its works once."""

    def __init__(self) -> None:
        self.answers = iter([False, True])

    def wait(self, timeout: float) -> bool:
        return next(self.answers)


def test_evaluation__about_another_span_of_the_call__joined() -> None:
    ingest()
    OtherSpan.objects.create(trace_id=traces.trace_id(3), span_id=traces.span_id(9), call=Call.objects.get())

    by_span = record_scores(scores=scores_of(decode_logs(logs.body(logs.record(number=9, trace=3))))[0])

    assert by_span.waiting == 0
    assert Score.objects.get().call == Call.objects.get()


def test_evaluations__by_exposure_alone__each_counts_but_the_same_moment(version: PromptVersion) -> None:
    exposure = {"serinus.exposure": STAMP["serinus.exposure"]}
    for after_s in (0, 0.2, 0.2):
        log(number=None, after_s=after_s, **exposure)

    assert evidence_of(version) == {250: 2}


def test_openlit_idempotency_key__sent_minutes_later__the_same_score() -> None:
    keyed = {"openlit.score.idempotency_key": "feedback-7"}

    recorded = [log(**keyed), log(after_s=300, **keyed)]

    assert [each.accepted for each in recorded] == [1, 0]


def test_record__in_the_callers_transaction__evidence_is_the_callers_to_add(version: PromptVersion) -> None:
    ingest()
    evaluations = decode_logs(logs.body(logs.record(at_ns=AT_NS)))

    with transaction.atomic():
        recorded, observations = record(scores=scores_of(evaluations)[0])

    assert recorded == Recorded(accepted=1, duplicates=0, waiting=0)
    assert [(each.metric, each.bin) for each in observations] == [("relevance", 250)]
    assert evidence_of(version) == {}


def test_record__more_than_fit_in_one_statement__all_recorded_and_repeats_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(services, "MOST_AT_ONCE", 2)
    sent = [logs.record(logs.attributes(value), at_ns=AT_NS) for value in (0.1, 0.2, 0.1, 0.3, 0.3)]

    recorded = record_scores(scores=scores_of(decode_logs(logs.body(*sent)))[0])

    assert recorded == Recorded(accepted=3, duplicates=2, waiting=3)


def test_give_up__call_that_did_not_come_in_time__not_joined_any_more(version: PromptVersion, settings: Any) -> None:
    settings.SCORES_WAIT = timedelta(days=2)
    log()
    given_up = []
    for days in (1.9, 2.1, 2.2):
        with time_machine.travel(now() + timedelta(days=days)):
            given_up.append(give_up_waiting_scores())
    ingest()

    score = Score.objects.get()
    assert given_up == [0, 1, 0]
    assert (score.gave_up, score.waiting, score.call) == (True, False, None)
    assert evidence_of(version) == {}


@pytest.mark.django_db(transaction=True)
def test_same_evaluation__from_several_connections_at_once__counts_once(version: PromptVersion) -> None:
    ingest()

    def by_span() -> Recorded:
        return log(after_s=0.999)

    def by_response() -> Recorded:
        return log(after_s=1.5, number=None, **RESPONSE)

    recorded = parallel.at_once(by_span, by_response, lambda: log(after_s=1.1), by_response)

    assert sum(each.accepted for each in recorded) == 1
    assert sum(each.duplicates for each in recorded) == 3
    assert Score.objects.get().counts
    assert evidence_of(version) == {250: 1}


@pytest.mark.django_db(transaction=True)
def test_same_evaluation__waiting_twice_since_both_came_at_once__one_is_joined(version: PromptVersion) -> None:
    parallel.at_once(lambda: log(after_s=0.999), lambda: log(after_s=1.1))
    ingest()

    assert Score.objects.get().call == Call.objects.get()
    assert evidence_of(version) == {250: 1}

"""What the demo's order app reports of a call, through the OpenTelemetry SDK."""

import random
from collections.abc import Sequence
from threading import Event

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_span_id, format_trace_id

from demo.errors import DemoFailed
from demo.llm import Answer, complete
from demo.prompts import FAILS
from demo.telemetry import MOST_WAITING, SpanIds, Telemetry

TRACE = {
    "gen_ai.prompt.name": "order-extractor",
    "gen_ai.prompt.version": "v2.3",
    "serinus.exposure": "rol_1:0:canary:7",
}
ANSWER = Answer("chatcmpl-1", "gpt-4o-mini-2024-07-18", 0.9, 0.3, 210, 80, None)
NO_ANSWER = Answer("chatcmpl-2", "gpt-4o-mini-2024-07-18", 0.9, 0.3, 210, 80, "timeout")


class Refusing(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.FAILURE


class Stuck(SpanExporter):
    """Takes spans only when it may go on."""

    def __init__(self) -> None:
        self.go_on = Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.go_on.wait()
        return SpanExportResult.SUCCESS


def reported(answer: Answer) -> tuple[SpanIds, ReadableSpan]:
    exporter = InMemorySpanExporter()
    telemetry = Telemetry(exporter)
    ids = telemetry.report(model="gpt-4o-mini", trace=TRACE, answer=answer)
    telemetry.close()
    (span,) = exporter.get_finished_spans()
    return ids, span


def test_report__answer__official_attributes_and_the_prompts_trace() -> None:
    ids, span = reported(ANSWER)

    assert span.name == "chat gpt-4o-mini"
    assert dict(span.attributes or {}) == {
        **TRACE,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.stream": True,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.3,
        "gen_ai.usage.input_tokens": 210,
        "gen_ai.usage.output_tokens": 80,
    }
    assert ids == SpanIds(format_trace_id(span.context.trace_id), format_span_id(span.context.span_id))


def test_report__answer__lasts_as_long_as_it_says() -> None:
    _, span = reported(ANSWER)

    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == 900_000_000  # ANSWER's latency in nanoseconds


def test_report__no_answer__error_status_and_type_without_usage() -> None:
    _, span = reported(NO_ANSWER)

    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "timeout"
    assert "gen_ai.usage.output_tokens" not in (span.attributes or {})


def test_check__server_refuses_spans__fails_the_demo() -> None:
    telemetry = Telemetry(Refusing())
    telemetry.report(model="gpt-4o-mini", trace=TRACE, answer=ANSWER)
    telemetry.close()

    with pytest.raises(DemoFailed, match="1 spans"):
        telemetry.check()


def test_behind__more_waits_than_the_queue_should_hold__true_until_exported() -> None:
    exporter = Stuck()
    telemetry = Telemetry(exporter)

    for _ in range(MOST_WAITING + 1):
        telemetry.report(model="gpt-4o-mini", trace=TRACE, answer=ANSWER)
    before = telemetry.behind
    exporter.go_on.set()
    telemetry.close()

    assert before
    assert not telemetry.behind


def test_complete__many_answers__fail_at_the_true_rate_and_stream_before_they_end() -> None:
    rng = random.Random(2)

    answers = [complete("gpt-4o-mini", rng) for _ in range(20_000)]

    failed = sum(answer.error is not None for answer in answers)
    assert abs(failed / 20_000 - FAILS) < 4 * (FAILS / 20_000) ** 0.5  # four standard errors
    assert all(0 < answer.first_chunk_s < answer.latency_s for answer in answers)

"""How the order app reports its calls: the OpenTelemetry SDK and its OTLP exporter, set up as in any app.

The attributes are the official ones of the GenAI conventions; the prompt's `trace` names its version and arm.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode, format_span_id, format_trace_id
from opentelemetry.util.types import AttributeValue

from demo.errors import DemoFailed
from demo.llm import PROVIDER, Answer

EXPORT_WITHIN_S = 8
QUEUE = 8192
MOST_WAITING = QUEUE // 2


@dataclass(frozen=True, slots=True)
class SpanIds:
    """What names a call to whoever wants to score it, in lower-case hexadecimal as OTLP's JSON writes it."""

    trace_id: str
    span_id: str


class Telemetry:
    """Reports calls in the background. `behind`: more calls wait than the SDK's queue should hold, so slow down."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = CountingExporter(exporter)
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "order-app", "deployment.environment.name": "demo"}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(self._exporter, max_queue_size=QUEUE, schedule_delay_millis=500)
        )
        self._tracer = self._provider.get_tracer("order-app")
        self._reported = 0
        self._counting = Lock()

    def report(self, *, model: str, trace: Mapping[str, AttributeValue], answer: Answer) -> SpanIds:
        """Report one call, with the times that its answer says, as one that has ended just now."""
        end = time.time_ns()
        span = self._tracer.start_span(
            f"chat {model}",
            kind=SpanKind.CLIENT,
            attributes=attributes_of(model, trace, answer),
            start_time=end - int(answer.latency_s * 1e9),
        )
        if answer.error:
            span.set_status(Status(StatusCode.ERROR, f"no answer: {answer.error}"))
        span.end(end)
        with self._counting:
            self._reported += 1
        context = span.get_span_context()
        return SpanIds(format_trace_id(context.trace_id), format_span_id(context.span_id))

    @property
    def behind(self) -> bool:
        return self._reported - self._exporter.exported > MOST_WAITING

    def check(self) -> None:
        if self._exporter.lost:
            raise DemoFailed(f"The server did not take {self._exporter.lost} spans that the exporter sent")

    def close(self) -> None:
        self._provider.shutdown()


def attributes_of(model: str, trace: Mapping[str, AttributeValue], answer: Answer) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": model,
        "gen_ai.request.stream": True,
        **trace,
    }
    if answer.error:
        return attributes | {"error.type": answer.error}
    return attributes | {
        "gen_ai.response.id": answer.response_id,
        "gen_ai.response.model": answer.model,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": answer.first_chunk_s,
        "gen_ai.usage.input_tokens": answer.input_tokens,
        "gen_ai.usage.output_tokens": answer.output_tokens,
    }


def otlp_exporter(url: str, key: str) -> SpanExporter:
    """The official exporter. Its session ignores proxies, which know nothing of this machine's own server."""
    session = requests.Session()
    session.trust_env = False
    headers = {"Authorization": f"Bearer {key}"}
    return OTLPSpanExporter(f"{url}/v1/traces", headers=headers, timeout=EXPORT_WITHIN_S, session=session)


class CountingExporter(SpanExporter):
    """Knows how many spans left the queue, and how many were lost. After the first loss it tries no more."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.exported = 0
        self.lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE if self.lost else self._exporter.export(spans)
        self.exported += len(spans)
        if result is not SpanExportResult.SUCCESS:
            self.lost += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

"""What is found in spans as a library writes them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from observability.core.calls import CallFacts, find_calls
from observability.core.dialects import wanted
from observability.core.otlp import decode_protobuf
from tests import traces


def calls(*spans: Span, scope: str = "order-app") -> list[CallFacts]:
    """Texts included, as where they are stored."""
    return find_calls(decode_protobuf(traces.body(*spans, scope=scope), wanted(with_content=True)).spans).calls


def call(attributes: Mapping[str, Any], *, scope: str = "order-app", **span: Any) -> CallFacts:
    (found,) = calls(traces.span(attributes, **span), scope=scope)
    return found


def moment(span: Span, offset_ms: int) -> str:
    """ISO 8601 of a moment after a span's start."""
    started = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=span.start_time_unix_nano // 1000)
    return (started + timedelta(milliseconds=offset_ms)).isoformat()

"""The part of stamping that is a class of OpenTelemetry's SDK, imported only where that is in use."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor

from serinus import stamping


class SpanStamper(SpanProcessor):
    """Copies the attributes of the prompt in use onto every span that starts, and adds them as an event."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        stamping.stamp(span, parent_context)

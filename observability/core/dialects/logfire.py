"""pydantic-ai and logfire: `gen_ai.*`, with JSON beside it and a log record at the end of a stream.

logfire's integrations of OpenAI and Anthropic end the span of a streamed request at its first byte and write what
came of it into a record of its own, a span without a length.
Source: pydantic/logfire, logfire/_internal/integrations/llm_providers; pydantic-ai, models/instrumented.py.
"""

from typing import Any

from observability.core import conversions as read
from observability.core.dialects.table import Dialect, Kind, Source
from observability.core.otlp import Span

RESPONSE = "response_data"
REQUEST = "request_data"
PYDANTIC_AI = "pydantic-ai"


def kind_of_scope(span: Span) -> Kind | None:
    """Older versions name no operation; their spans are told by the message that they begin with."""
    if REQUEST not in span.attributes:
        return None
    name = span.name.lower()
    if name.startswith(("chat completion", "message with", "streaming response from", "responses api")):
        return "call"
    return "embedding" if name.startswith("embedding") else None


def mend(span: Span, fields: dict[str, Any]) -> None:
    if span.scope == PYDANTIC_AI:
        _forget_made_up_session(span, fields)
    elif fields.get("stream") and fields.get("record_type") != "log":
        fields["ends_elsewhere"] = True


def _forget_made_up_session(span: Span, fields: dict[str, Any]) -> None:
    """It makes up a conversation for every run: that is nobody's session."""
    if "session" in fields and fields["session"] == read.identity(span.attributes.get("gen_ai.conversation.id")):
        del fields["session"]


def _in_usage(*keys: str) -> tuple[Source, ...]:
    return tuple(Source(RESPONSE, read.tokens, parse=read.structure_in_json, path=("usage", key)) for key in keys)


LOGFIRE = Dialect(
    name="pydantic-ai and logfire",
    scopes=(PYDANTIC_AI, "logfire"),
    kind_of_scope=kind_of_scope,
    mend=mend,
    fields={
        "record_type": (Source("logfire.span_type"),),
        "record_duration_s": (Source("duration", read.number),),
        "request_model": (Source(REQUEST, parse=read.structure_in_json, path=("model",)),),
        "stream": (Source(REQUEST, read.true_flag, parse=read.structure_in_json, path=("stream",)),),
        "input_tokens": _in_usage("prompt_tokens", "input_tokens"),
        "output_tokens": _in_usage("completion_tokens", "output_tokens"),
        "cost_usd": (Source("operation.cost", read.usd),),
    },
    content={
        "input_messages": (Source("all_messages_events", read.untouched), Source(REQUEST, read.untouched)),
        "output_messages": (Source(RESPONSE, read.untouched),),
    },
)

"""pydantic-ai and logfire: `gen_ai.*`, with JSON beside it and a log record at the end of a stream.

logfire's integrations of OpenAI and Anthropic end the span of a streamed request at its first byte and write what
came of it into a record of its own, a span without a length.
Source: pydantic/logfire, logfire/_internal/integrations/llm_providers; pydantic-ai, models/instrumented.py.
"""

from typing import Any

from observability.core import conversions as read
from observability.core.dialects.table import Dialect, Kind, Source
from observability.core.otlp import ERROR, Span

RESPONSE = "response_data"
REQUEST = "request_data"
RAW_USAGE = "gen_ai.usage.raw"
PYDANTIC_AI = "pydantic-ai"
ANSWER = "gen_ai.output.messages"
SAID_OF_AN_ANSWER = frozenset({"finish_reason", "input_tokens", "output_tokens"})


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
        fields.pop("conversation", None)  # made up for every run: that is nobody's session
        if span.status != ERROR and fields.keys().isdisjoint(SAID_OF_AN_ANSWER) and _is_without_answer(span):
            fields["stream"] = True  # one that was refused: only the agent's span tells of the error
    elif fields.get("stream") and fields.get("record_type") != "log":
        fields["ends_elsewhere"] = True


def _is_without_answer(span: Span) -> bool:
    return bool(read.inside(read.structure_in_json(span.attributes.get(ANSWER)), (0, "parts")) == [])


def _in_usage(*keys: str) -> tuple[Source, ...]:
    return tuple(Source(RESPONSE, read.tokens, parse=read.structure_in_json, path=("usage", key)) for key in keys)


LOGFIRE = Dialect(
    name="pydantic-ai and logfire",
    scopes=(PYDANTIC_AI, "logfire"),
    kind_of_scope=kind_of_scope,
    mend=mend,
    fields={
        "agent_run": (
            Source("gen_ai.agent.call.id"),
        ),  # on spans of others inside an agent too, beside the conversation
        "record_type": (Source("logfire.span_type"),),
        "record_duration_s": (Source("duration", read.number),),
        "request_model": (Source(REQUEST, parse=read.structure_in_json, path=("model",)),),
        "stream": (Source(REQUEST, read.true_flag, parse=read.structure_in_json, path=("stream",)),),
        "input_tokens": _in_usage("prompt_tokens", "input_tokens"),
        "output_tokens": _in_usage("completion_tokens", "output_tokens"),
        "reasoning_tokens": tuple(
            Source(container, read.tokens, parse=read.structure_in_json, path=(*path, details, "reasoning_tokens"))
            for container, path in ((RAW_USAGE, ()), (RESPONSE, ("usage",)))
            for details in ("completion_tokens_details", "output_tokens_details")
        ),
        "cost_usd": (Source("operation.cost", read.usd),),
    },
    content={
        "input_messages": (Source("all_messages_events", read.untouched), Source(REQUEST, read.untouched)),
        "output_messages": (Source(RESPONSE, read.untouched),),
    },
)

"""pydantic-ai and logfire: `gen_ai.*`, with JSON beside it and a log record at the end of a stream.

logfire's integrations of OpenAI and Anthropic end the span of a streamed request at its first byte and write what
came of it into a record of its own, a span without a length.
Source: pydantic/logfire, logfire/_internal/integrations/llm_providers; pydantic-ai, models/instrumented.py.
"""

from typing import Any

from observability.core import conversions as read
from observability.core.dialects.table import Dialect, Source
from observability.core.otlp import Span

RESPONSE = "response_data"
REQUEST = "request_data"


def mend(span: Span, fields: dict[str, Any]) -> None:
    """pydantic-ai makes up a conversation for every run: it is nobody's session."""
    if "session" in fields and fields["session"] == read.identity(span.attributes.get("gen_ai.conversation.id")):
        del fields["session"]


LOGFIRE = Dialect(
    name="pydantic-ai and logfire",
    scope="pydantic-ai",
    mend=mend,
    fields={
        "record_type": (Source("logfire.span_type"),),
        "record_duration_s": (Source("duration", read.number),),
        "request_model": (Source(REQUEST, parse=read.structure_in_json, path=("model",)),),
        "stream": (Source(REQUEST, read.true_flag, parse=read.structure_in_json, path=("stream",)),),
        "cost_usd": (Source("operation.cost", read.usd),),
    },
    content={
        "input_messages": (Source("all_messages_events", read.untouched), Source(REQUEST, read.untouched)),
        "output_messages": (Source(RESPONSE, read.untouched),),
    },
)

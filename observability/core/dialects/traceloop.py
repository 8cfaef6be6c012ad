"""Traceloop (OpenLLMetry): `traceloop.*` beside `gen_ai.*`.

Source: traceloop/openllmetry, packages/opentelemetry-semantic-conventions-ai and traceloop-sdk.
"""

from observability.core import conversions as read
from observability.core.dialects.table import Dialect, Source, joined, stamped

PROPERTIES = "traceloop.association.properties."

TRACELOOP = Dialect(
    name="Traceloop (OpenLLMetry)",
    fields=joined(
        {
            "prompt_name": (Source("traceloop.prompt.key"), Source(PROPERTIES + "prompt_name")),
            "prompt_version": (
                Source("traceloop.prompt.version_name"),
                Source("traceloop.prompt.version"),
                Source(PROPERTIES + "prompt_version"),
            ),
            "user": (Source(PROPERTIES + "user_id", read.identity),),
            "session": (Source(PROPERTIES + "session_id", read.identity),),
            "finish_reason": (
                Source("llm.response.finish_reason", read.finish_reason),
                Source("llm.response.stop_reason", read.finish_reason),
            ),
        },
        stamped(PROPERTIES),
    ),
    content={
        "input_messages": (Source("traceloop.entity.input", read.untouched),),
        "output_messages": (Source("traceloop.entity.output", read.untouched),),
    },
    first_token_events=("gen_ai.content.completion.chunk", "llm.content.completion.chunk"),
)

"""litellm's OpenTelemetry callback: today's attributes beside Python structures written as text.

Its metadata are not on the wire but for the user. With a span open around the call it writes the call's attributes onto
that one, the app's own. Source: litellm/integrations/opentelemetry.py.
"""

from typing import Any

from observability.core import conversions as read
from observability.core.dialects.table import Dialect, Kind, Source
from observability.core.otlp import Span

USAGE = "metadata.usage_object"


def kind_of_scope(span: Span) -> Kind | None:
    """The request as sent to the provider has a span of its own, which repeats the usage."""
    return "other" if span.name == "raw_gen_ai_request" else None


def mend(span: Span, fields: dict[str, Any]) -> None:
    """Its `completion` is a chat: what others call so, it calls `text_completion`."""
    if fields.get("operation") == "text_completion" and "text" not in str(span.attributes.get("llm.request.type")):
        fields["operation"] = "chat"


LITELLM = Dialect(
    name="litellm",
    scopes=("litellm",),
    kind_of_scope=kind_of_scope,
    mend=mend,
    fields={
        "user": (Source("llm.user", read.identity),),
        # What it gives out as the response's id where there is none, as of an embedding or a failed call.
        "request_id": (Source("litellm.call_id"),),
        "cached_tokens": (
            Source(USAGE, read.tokens, parse=read.structure_in_python, path=("prompt_tokens_details", "cached_tokens")),
            Source(USAGE, read.tokens, parse=read.structure_in_python, path=("cache_read_input_tokens",)),
        ),
        "cache_write_tokens": (
            Source(USAGE, read.tokens, parse=read.structure_in_python, path=("cache_creation_input_tokens",)),
        ),
        "reasoning_tokens": (
            Source(
                USAGE,
                read.tokens,
                parse=read.structure_in_python,
                path=("completion_tokens_details", "reasoning_tokens"),
            ),
        ),
        "cost_usd": (Source("gen_ai.cost.total_cost", read.usd),),
    },
)

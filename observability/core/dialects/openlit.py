"""OpenLIT: `gen_ai.*`, a time to the first token also where nothing was streamed, and usage of its own counting.

Source: openlit/openlit, sdk/python/src/openlit/instrumentation.
"""

from typing import Any

from observability.core import conversions as read
from observability.core.dialects.table import Dialect, Kind, Source
from observability.core.otlp import Span

SCOPES = "openlit.instrumentation."
ANTHROPIC = SCOPES + "anthropic"
OPENAI = SCOPES + "openai"
CACHE_READ = "gen_ai.usage.cache_read.input_tokens"


def kind_of_scope(span: Span) -> Kind | None:
    """A failed call of Anthropic bears no attribute that would tell it."""
    return "call" if span.scope.startswith(SCOPES) and span.name.startswith("chat ") else None


def mend(span: Span, fields: dict[str, Any]) -> None:
    if span.scope == ANTHROPIC:
        _add_cached_input(fields)
    elif span.scope == OPENAI and fields.get("stream") and "cached_tokens" not in fields:
        for estimate in ("input_tokens", "output_tokens", "cost_usd"):
            fields.pop(estimate, None)
    if "request_model" not in fields and kind_of_scope(span) == "call":
        fields["request_model"] = read.text(span.name.removeprefix("chat "))


def _add_cached_input(fields: dict[str, Any]) -> None:
    """Of Anthropic's input it tells the part that has nothing to do with the cache."""
    if "input_tokens" in fields:
        whole = fields["input_tokens"] + fields.get("cached_tokens", 0) + fields.get("cache_write_tokens", 0)
        fields["input_tokens"] = whole


OPENLIT = Dialect(
    name="OpenLIT",
    scopes=("openlit",),
    kind_of_scope=kind_of_scope,
    mend=mend,
    fields={
        "prompt_name": (Source("prompt.name"),),
        "prompt_version": (Source("prompt.version"),),
    },
)

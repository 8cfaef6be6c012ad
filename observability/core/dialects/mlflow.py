"""MLflow's tracing: `mlflow.*`, every value of it written as JSON, so that texts stand in quotes.

Tags of a trace stand on its root span only. Source: mlflow/tracing/constant.py and mlflow/entities/span.py.
"""

from collections.abc import Callable
from typing import Any

from observability.core import conversions as read
from observability.core.dialects.table import Dialect, Kind, Source, joined, stamped
from observability.core.otlp import Span

USAGE = "mlflow.chat.tokenUsage"
OUTPUTS = "mlflow.spanOutputs"
TAG = "mlflow.traceTag."
LINKED = "mlflow.linkedPrompts"
TEXTS = frozenset(
    {
        *("prompt_name", "prompt_version", "label", "user", "session", "feature", "environment", "operation"),
        *("provider", "request_model", "response_model", "response_id", "finish_reason"),
    }
)


def kind_of_type(value: Any) -> Kind | None:
    found = read.unquoted(value)
    kind = read.lower(found)
    if kind is None or kind == "unknown":
        return None
    return "call" if kind in {"chat_model", "llm"} else "embedding" if kind == "embedding" else "other"


def mend(span: Span, fields: dict[str, Any]) -> None:
    """It writes what an app sets as JSON too, under whatever name.

    Of a stream that it cannot follow, as Anthropic's, it ends the span at once and writes what Python calls the object.
    """
    if fields.get("stream") and str(span.attributes.get(OUTPUTS)).startswith('"<'):
        fields["ends_elsewhere"] = True
    for field, value in fields.items():
        if isinstance(value, str) and value.startswith('"') and field in TEXTS:
            fields[field] = read.text(read.unquoted(value))


def _quoted(key: str, convert: Callable[[Any], Any]) -> Source:
    return Source(key, lambda value: convert(read.unquoted(value)))


def _in_outputs(*path: str) -> Source:
    return Source(OUTPUTS, read.tokens, parse=read.structure_in_json, path=("usage", *path))


MLFLOW = Dialect(
    name="MLflow",
    scopes=("mlflow",),
    mend=mend,
    kinds={"mlflow.spanType": kind_of_type},
    fields=joined(
        {
            "prompt_name": (
                Source(TAG + "prompt.name"),
                Source(LINKED, parse=read.structure_in_json, path=(0, "name")),
            ),
            "prompt_version": (
                Source(TAG + "prompt.version"),
                Source(LINKED, parse=read.structure_in_json, path=(0, "version")),
            ),
            "user": (Source(TAG + "mlflow.trace.user", read.identity),),
            "session": (Source(TAG + "mlflow.trace.session", read.identity),),
            "provider": (_quoted("mlflow.llm.provider", read.provider),),
            "request_model": (
                _quoted("model", read.text),
                Source("mlflow.spanInputs", parse=read.structure_in_json, path=("model",)),
                _quoted("mlflow.llm.model", read.text),
            ),
            "response_model": (
                Source(OUTPUTS, parse=read.structure_in_json, path=("model",)),
                _quoted("mlflow.llm.model", read.text),
            ),
            "response_id": (Source(OUTPUTS, parse=read.structure_in_json, path=("id",)),),
            "input_tokens": (
                Source(USAGE, read.tokens, parse=read.structure_in_json, path=("input_tokens",)),
                _in_outputs("prompt_tokens"),
            ),
            "output_tokens": (Source(USAGE, read.tokens, parse=read.structure_in_json, path=("output_tokens",)),),
            "cached_tokens": (
                Source(USAGE, read.tokens, parse=read.structure_in_json, path=("cache_read_input_tokens",)),
            ),
            "cache_write_tokens": (
                Source(USAGE, read.tokens, parse=read.structure_in_json, path=("cache_creation_input_tokens",)),
            ),
            "reasoning_tokens": (
                Source(USAGE, read.tokens, parse=read.structure_in_json, path=("reasoning_tokens",)),
                _in_outputs("completion_tokens_details", "reasoning_tokens"),
                _in_outputs("output_tokens_details", "reasoning_tokens"),
            ),
            "cost_usd": (Source("mlflow.llm.cost", read.usd, parse=read.structure_in_json, path=("total_cost",)),),
            "finish_reason": (
                Source(OUTPUTS, read.finish_reason, parse=read.structure_in_json, path=("choices", 0, "finish_reason")),
                Source(OUTPUTS, read.finish_reason, parse=read.structure_in_json, path=("stop_reason",)),
            ),
            "stream": (
                _quoted("stream", read.true_flag),
                Source("mlflow.spanInputs", read.true_flag, parse=read.structure_in_json, path=("stream",)),
            ),
        },
        stamped(TAG),
    ),
    content={
        "input_messages": (Source("mlflow.spanInputs", read.untouched),),
        "output_messages": (Source(OUTPUTS, read.untouched),),
    },
    first_token_events=("mlflow.chunk.item.0",),
)

"""LangSmith and LangChain through its OpenTelemetry exporter: `langsmith.*` beside `gen_ai.*`.

The operation it writes is wrong for retrievers, so its own kind of span decides; a failed call keeps the status OK.
Source: langsmith-sdk, python/langsmith/_internal/otel/_otel_exporter.py.
"""

from collections.abc import Callable
from typing import Any

from observability.core import conversions as read
from observability.core.dialects.table import EXCEPTION, Dialect, Kind, Source, joined, stamped

METADATA = "langsmith.metadata."
INPUT_DETAILS = "gen_ai.usage.input_token_details"
OUTPUT_DETAILS = "gen_ai.usage.output_token_details"
USAGE = METADATA + "usage_metadata"
COMPLETION = "gen_ai.completion"
GENERATION = ("generations", 0, 0)  # of LangChain


def kind_of_span(value: Any) -> Kind | None:
    found = read.lower(value)
    if found is None:
        return None
    return "call" if found == "llm" else "embedding" if found == "embedding" else "other"


def error_class_of_repr(value: Any) -> str | None:
    """It writes every exception as one of the class Exception, whose message begins `APIConnectionError('…`."""
    found = read.text(value)
    return read.error_class(found.partition("(")[0]) if found and "(" in found else None


def _in_usage(*path: str) -> Source:
    return Source(USAGE, read.tokens, parse=read.structure_in_json, path=path)


def _in_completion(convert: Callable[[Any], Any], *path: str | int) -> Source:
    return Source(COMPLETION, convert, parse=read.structure_in_json, path=path)


LANGSMITH = Dialect(
    name="LangSmith",
    kinds={"langsmith.span.kind": kind_of_span},
    fields=joined(
        {
            "prompt_name": (Source(METADATA + "lc_hub_repo"), Source(METADATA + "prompt_name")),
            "prompt_version": (Source(METADATA + "prompt_version"), Source(METADATA + "lc_hub_commit_hash")),
            "user": (Source(METADATA + "user_id", read.identity),),
            "session": (
                Source(METADATA + "session_id", read.identity),
                Source(METADATA + "thread_id", read.identity),
            ),
            "provider": (Source(METADATA + "ls_provider", read.provider),),
            "request_model": (Source(METADATA + "ls_model_name"),),
            "cached_tokens": (
                Source(INPUT_DETAILS, read.tokens, parse=read.structure_in_python, path=("cache_read",)),
                _in_usage("input_token_details", "cache_read"),
            ),
            "cache_write_tokens": (
                Source(INPUT_DETAILS, read.tokens, parse=read.structure_in_python, path=("cache_creation",)),
                _in_usage("input_token_details", "cache_creation"),
            ),
            "reasoning_tokens": (
                Source(OUTPUT_DETAILS, read.tokens, parse=read.structure_in_python, path=("reasoning",)),
                _in_usage("output_token_details", "reasoning"),
            ),
            "response_model": (
                _in_completion(read.text, "llm_output", "model_name"),
                _in_completion(read.text, *GENERATION, "generation_info", "model_name"),
                _in_completion(read.text, *GENERATION, "message", "kwargs", "response_metadata", "model_name"),
            ),
            "response_id": (
                _in_completion(read.text, "llm_output", "id"),
                _in_completion(read.text, *GENERATION, "message", "kwargs", "response_metadata", "id"),
            ),
            "finish_reason": (
                _in_completion(read.finish_reason, *GENERATION, "generation_info", "finish_reason"),
                _in_completion(
                    read.finish_reason, *GENERATION, "message", "kwargs", "response_metadata", "finish_reason"
                ),
            ),
            "error_class": (Source("exception.message", error_class_of_repr, at=EXCEPTION),),
            "stream": (Source("langsmith.request.streaming", read.flag),),
        },
        stamped(METADATA),
    ),
    content={
        "input_messages": (Source("gen_ai.prompt", read.untouched),),
        "output_messages": (Source(COMPLETION, read.untouched),),
    },
)

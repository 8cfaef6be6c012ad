"""LangSmith and LangChain through its OpenTelemetry exporter: `langsmith.*` beside `gen_ai.*`.

The operation it writes is wrong for retrievers, so its own kind of span decides; a failed call keeps the status OK.
Source: langsmith-sdk, python/langsmith/_internal/otel/_otel_exporter.py.
"""

from typing import Any

from observability.core import conversions as read
from observability.core.dialects.table import Dialect, Kind, Source, joined, stamped

METADATA = "langsmith.metadata."
INPUT_DETAILS = "gen_ai.usage.input_token_details"
OUTPUT_DETAILS = "gen_ai.usage.output_token_details"


def kind_of_span(value: Any) -> Kind | None:
    found = read.lower(value)
    if found is None:
        return None
    return "call" if found == "llm" else "embedding" if found == "embedding" else "other"


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
            ),
            "cache_write_tokens": (
                Source(INPUT_DETAILS, read.tokens, parse=read.structure_in_python, path=("cache_creation",)),
            ),
            "reasoning_tokens": (
                Source(OUTPUT_DETAILS, read.tokens, parse=read.structure_in_python, path=("reasoning",)),
            ),
            "stream": (Source("langsmith.request.streaming", read.flag),),
        },
        stamped(METADATA),
    ),
    content={
        "input_messages": (Source("gen_ai.prompt", read.untouched),),
        "output_messages": (Source("gen_ai.completion", read.untouched),),
    },
)

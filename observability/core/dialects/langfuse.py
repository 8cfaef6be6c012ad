"""Langfuse's SDKs from version 3 on: `langfuse.*`, with structures written as JSON.

Source: langfuse-python, langfuse/_client/attributes.py; langfuse-js, packages/core.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from observability.core import conversions as read
from observability.core.dialects.table import Dialect, Kind, Source, joined, stamped

USAGE = "langfuse.observation.usage_details"
METADATA = "langfuse.observation.metadata."
CACHE_READ = ("cache_read_input_tokens", "input_cache_read", "input_cached_tokens", "cache_read")
CACHE_WRITE = ("cache_creation_input_tokens", "input_cache_creation", "input_cache_write", "cache_write")
REASONING = ("output_reasoning", "output_reasoning_tokens", "reasoning_tokens")


def kind_of_type(value: Any) -> Kind | None:
    found = read.lower(value)
    if found is None:
        return None
    return "call" if found == "generation" else "embedding" if found == "embedding" else "other"


def input_tokens(usage: Any) -> int | None:
    """All input: told as one number, or as parts of which each token is in one."""
    return _total(
        usage, ("prompt_tokens", "promptTokens"), ("input", "input_tokens"), "input_", CACHE_READ + CACHE_WRITE
    )


def output_tokens(usage: Any) -> int | None:
    return _total(
        usage, ("completion_tokens", "completionTokens"), ("output", "output_tokens"), "output_", REASONING[:2]
    )


def _total(usage: Any, whole: Iterable[str], rest: Iterable[str], prefix: str, parts: Iterable[str]) -> int | None:
    if not isinstance(usage, Mapping):
        return None
    for key in whole:
        if (found := read.tokens(usage.get(key))) is not None:
            return found
    for key in rest:
        if (found := read.tokens(usage.get(key))) is not None:
            others = {part for part in usage if isinstance(part, str) and part.startswith(prefix)} | set(parts)
            others -= {"input_tokens", "output_tokens"}
            return read.tokens(found + sum(read.tokens(usage.get(part)) or 0 for part in others))
    return None


def cached_tokens(usage: Any) -> int | None:
    return _first(usage, CACHE_READ) or _detail(
        usage, ("prompt_tokens_details", "input_tokens_details"), "cached_tokens"
    )


def cache_write_tokens(usage: Any) -> int | None:
    return _first(usage, CACHE_WRITE)


def reasoning_tokens(usage: Any) -> int | None:
    details = ("completion_tokens_details", "output_tokens_details")
    return _first(usage, REASONING) or _detail(usage, details, "reasoning_tokens")


def _first(usage: Any, keys: Iterable[str]) -> int | None:
    if not isinstance(usage, Mapping):
        return None
    found = (read.tokens(usage.get(key)) for key in keys)
    return next((count for count in found if count is not None), None)


def _detail(usage: Any, groups: Iterable[str], key: str) -> int | None:
    """The detail of a provider's usage, nested as it sent it or with the group's name before it."""
    if not isinstance(usage, Mapping):
        return None
    for group in groups:
        nested = usage.get(group)
        value = nested.get(key) if isinstance(nested, Mapping) else usage.get(f"{group}.{key}")
        if (found := read.tokens(value)) is not None:
            return found
    return None


def is_error(value: Any) -> str | None:
    """The level of an observation, where it is an error."""
    return "ERROR" if read.lower(value) == "error" else None


def instant_ns(value: Any) -> int | None:
    """Nanoseconds since 1970 of an ISO 8601 time, which some versions put into JSON's quotes."""
    if not isinstance(value, str) or len(value) > 50:
        return None
    try:
        at = datetime.fromisoformat(value.strip('"'))
        return round(at.timestamp() * 1e6) * 1000 if at.tzinfo else None
    except (ValueError, OverflowError, OSError):
        return None


def of_a_response(value: Any) -> str | None:
    """The id, where it is one of OpenAI's Responses: what else people call so is of their own."""
    found = read.text(value)
    return found if found and found.startswith("resp_") else None


def _in_metadata(key: str, convert: Callable[[Any], Any] = read.text) -> Source:
    """From version 5 on, with JSON's quotes around it."""
    return Source(METADATA + key, convert, parse=read.without_quotes)


LANGFUSE = Dialect(
    name="Langfuse",
    kinds={"langfuse.observation.type": kind_of_type},
    fields=joined(
        {
            "prompt_name": (Source("langfuse.observation.prompt.name"), Source("langfuse.prompt.name")),
            "prompt_version": (Source("langfuse.observation.prompt.version"), Source("langfuse.prompt.version")),
            "user": (
                Source("langfuse.user.id", read.identity),
                _in_metadata("langfuse_user_id", read.identity),
            ),
            "session": (
                Source("langfuse.session.id", read.identity),
                _in_metadata("langfuse_session_id", read.identity),
            ),
            "environment": (Source("langfuse.environment"),),
            "request_model": (Source("langfuse.observation.model.name"),),
            "response_model": (Source("langfuse.observation.model.name"),),
            "input_tokens": (Source(USAGE, input_tokens, parse=read.structure_in_json),),
            "output_tokens": (Source(USAGE, output_tokens, parse=read.structure_in_json),),
            "cached_tokens": (Source(USAGE, cached_tokens, parse=read.structure_in_json),),
            "cache_write_tokens": (Source(USAGE, cache_write_tokens, parse=read.structure_in_json),),
            "reasoning_tokens": (Source(USAGE, reasoning_tokens, parse=read.structure_in_json),),
            "cost_usd": (
                Source("langfuse.observation.cost_details", read.usd, parse=read.structure_in_json, path=("total",)),
            ),
            "first_token_at_ns": (Source("langfuse.observation.completion_start_time", instant_ns),),
            "finish_reason": (
                Source(METADATA + "finish_reason", read.finish_reason),
                Source(
                    "langfuse.observation.output",
                    read.finish_reason,
                    parse=read.structure_in_json,
                    path=("finish_reason",),
                ),
            ),
            "response_id": (
                _in_metadata("response_id"),
                _in_metadata("id", of_a_response),
            ),
            "stream": (
                Source(
                    "langfuse.observation.model.parameters",
                    read.true_flag,
                    parse=read.structure_in_json,
                    path=("stream",),
                ),
            ),
            "error_type": (Source("langfuse.observation.level", is_error),),
            "error_class": (Source("langfuse.observation.status_message", read.error_class_of_message),),
        },
        stamped(METADATA, parse=read.without_quotes),
        stamped("langfuse.trace.metadata.", parse=read.without_quotes),
    ),
    content={
        "input_messages": (Source("langfuse.observation.input", read.untouched),),
        "output_messages": (Source("langfuse.observation.output", read.untouched),),
    },
)

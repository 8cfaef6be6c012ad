"""The Vercel AI SDK (npm `ai`): `ai.*`. A span per attempt under a wrapper, whose usage is the sum of its steps.

Source: vercel/ai, packages/ai/src/telemetry and src/generate-text.
"""

from typing import Any

from observability.core import conversions as read
from observability.core.dialects.table import EXCEPTION, Dialect, Kind, Source, joined, stamped
from observability.core.otlp import Span

METADATA = "ai.telemetry.metadata."
NO_REASON = frozenset({"other", "unknown"})  # what it writes where the provider gave none, newer and older versions
LANGFUSE_PROMPT = METADATA + "langfusePrompt"


def kind_of_operation(value: Any) -> Kind | None:
    found = read.text(value)
    if found is None or not found.startswith("ai."):
        return None
    step = found.rpartition(".")[2]
    return "call" if step in {"doGenerate", "doStream"} else "embedding" if step == "doEmbed" else "other"


def streams(value: Any) -> bool | None:
    found = read.text(value)
    return None if found is None else found.endswith(".doStream")


def is_attempt(value: Any) -> bool | None:
    return kind_of_operation(value) in {"call", "embedding"} or None


def mend(_: Span, fields: dict[str, Any]) -> None:
    """A stream that broke off has a reason that it makes up, and no error; one that failed may say so there alone."""
    reason = fields.get("finish_reason")
    if reason == "error":
        fields["error_type"] = fields.pop("finish_reason")
    elif reason in NO_REASON and fields.get("stream") and fields.keys().isdisjoint({"input_tokens", "output_tokens"}):
        del fields["finish_reason"]


VERCEL = Dialect(
    name="Vercel AI SDK",
    scopes=("ai",),
    mend=mend,
    kinds={"ai.operationId": kind_of_operation},
    fields=joined(
        {
            "prompt_name": (
                Source(METADATA + "promptName"),
                Source(LANGFUSE_PROMPT, parse=read.structure_in_json, path=("name",)),
            ),
            "prompt_version": (
                Source(METADATA + "promptVersion"),
                Source(LANGFUSE_PROMPT, parse=read.structure_in_json, path=("version",)),
            ),
            "user": (Source(METADATA + "userId", read.identity),),
            "session": (Source(METADATA + "sessionId", read.identity),),
            "exposure": (Source(METADATA + "exposure", read.exposure),),
            "provider": (Source("ai.model.provider", read.provider),),
            "request_model": (Source("ai.model.id"),),
            "response_model": (Source("ai.response.model"),),
            "response_id": (Source("ai.response.id"),),
            "input_tokens": (
                Source("ai.usage.inputTokens", read.tokens),
                Source("ai.usage.promptTokens", read.tokens),
                Source("ai.usage.tokens", read.tokens),
            ),
            "output_tokens": (
                Source("ai.usage.outputTokens", read.tokens),
                Source("ai.usage.completionTokens", read.tokens),
            ),
            "cached_tokens": (
                Source("ai.usage.inputTokenDetails.cacheReadTokens", read.tokens),
                Source("ai.usage.cachedInputTokens", read.tokens),
            ),
            "cache_write_tokens": (Source("ai.usage.inputTokenDetails.cacheWriteTokens", read.tokens),),
            "reasoning_tokens": (
                Source("ai.usage.outputTokenDetails.reasoningTokens", read.tokens),
                Source("ai.usage.reasoningTokens", read.tokens),
            ),
            "finish_reason": (
                Source("ai.response.finishReason", read.finish_reason),
                Source("ai.finishReason", read.finish_reason),
            ),
            "error_class": (Source("exception.message", read.error_class_of_words, at=EXCEPTION),),
            "stream": (Source("ai.operationId", streams),),
            "first_chunk_ms": (
                Source("ai.response.msToFirstChunk", read.number),
                Source("ai.stream.msToFirstChunk", read.number),
            ),
            "is_attempt": (Source("ai.operationId", is_attempt),),
        },
        stamped(METADATA),
    ),
    content={
        "input_messages": (
            Source("ai.prompt.messages", read.untouched),
            Source("ai.prompt", read.untouched),
            Source("ai.value", read.untouched),
        ),
        "output_messages": (
            Source("ai.response.text", read.one_message),
            Source("ai.response.object", read.one_message),
            Source("ai.result.text", read.one_message),
            Source("ai.result.object", read.one_message),
        ),
    },
    first_token_events=("ai.stream.firstChunk",),
)

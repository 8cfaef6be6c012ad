"""Calls of the Vercel AI SDK, as packages/ai/src/telemetry writes them."""

import json

import pytest

from observability.core.content import input_text, output_text
from tests import spoken, traces

STREAM = {
    "operation.name": "ai.streamText.doStream extract",
    "ai.operationId": "ai.streamText.doStream",
    "ai.model.provider": "openai.chat",
    "ai.model.id": "gpt-4o-mini",
    "gen_ai.system": "openai.chat",
    "gen_ai.request.model": "gpt-4o-mini",
    "ai.prompt.messages": json.dumps([{"role": "user", "content": [{"type": "text", "text": "Two red mugs"}]}]),
    "ai.response.text": '{"sku": "mug"}',
    "ai.response.id": "chatcmpl-1",
    "ai.response.model": "gpt-4o-mini-2026-01-15",
    "ai.response.finishReason": "tool-calls",
    "ai.response.msToFirstChunk": 40.5,
    "ai.usage.inputTokens": 215,
    "ai.usage.outputTokens": 21,
    "ai.usage.inputTokenDetails.cacheReadTokens": 100,
    "ai.usage.inputTokenDetails.cacheWriteTokens": 7,
    "ai.usage.outputTokenDetails.reasoningTokens": 10,
    "ai.telemetry.metadata.userId": "user-42",
    "ai.telemetry.metadata.sessionId": "sess-7",
    "ai.telemetry.metadata.promptName": "order-extractor",
    "ai.telemetry.metadata.promptVersion": 3,
}


def test_stream__everything_it_tells() -> None:
    call = spoken.call(STREAM, parent=7, scope="ai", name="ai.streamText.doStream", ms=100)

    assert (call.operation, call.provider, call.stream) == ("chat", "openai", True)
    assert (call.request_model, call.response_model) == ("gpt-4o-mini", "gpt-4o-mini-2026-01-15")
    assert (call.input_tokens, call.output_tokens, call.cached_tokens) == (215, 21, 100)
    assert (call.cache_write_tokens, call.reasoning_tokens) == (7, 10)
    assert (call.response_id, call.finish_reason, call.ttft_ms) == ("chatcmpl-1", "tool_calls", 40.5)
    assert call.inter_token_ms == pytest.approx((100 - 40.5) / (21 - 10 - 1))
    assert call.attempt_of == traces.span_id(7)
    assert call.context[:2] == ("order-extractor", "3")
    assert (call.context.user, call.context.session) == ("user-42", "sess-7")
    assert (input_text(call), output_text(call)) == ("Two red mugs", '{"sku": "mug"}')


def test_wrapper__is_no_call_but_hands_on_its_prompt() -> None:
    wrapper = {
        "ai.operationId": "ai.generateText",
        "ai.usage.inputTokens": 430,
        "ai.telemetry.metadata.gen_ai.prompt.name": "order-extractor",
        "ai.telemetry.metadata.gen_ai.prompt.version": "v2.3",
        "ai.telemetry.metadata.serinus.exposure": "rol_1:0:canary:182",
    }
    step = {"ai.operationId": "ai.generateText.doGenerate", "ai.usage.inputTokens": 215}

    (call,) = spoken.calls(traces.span(step, number=1, parent=0), traces.span(wrapper), scope="ai")

    assert (call.input_tokens, call.stream) == (215, False)
    assert call.context.prompt_name == "order-extractor"
    assert str(call.context.exposure) == "rol_1:0:canary:182"


def test_embedding__tokens_of_the_inner_span() -> None:
    embedding = {"ai.operationId": "ai.embed.doEmbed", "ai.usage.tokens": 18, "ai.model.id": "text-embedding-3-small"}

    call = spoken.call(embedding, scope="ai")

    assert (call.operation, call.input_tokens, call.is_llm_call) == ("embeddings", 18, False)


def test_prompt_of_langfuse__in_its_metadata() -> None:
    prompt = json.dumps({"name": "order-extractor", "version": 3, "type": "text"})

    call = spoken.call(
        {"ai.operationId": "ai.generateText.doGenerate", "ai.telemetry.metadata.langfusePrompt": prompt}, scope="ai"
    )

    assert call.context[:2] == ("order-extractor", "3")


def test_first_chunk__of_the_older_event() -> None:
    span = traces.span({"ai.operationId": "ai.streamText.doStream"}, events=[("ai.stream.firstChunk", {})], ms=100)
    span.events[0].time_unix_nano = span.start_time_unix_nano + 30_000_000

    (call,) = spoken.calls(span, scope="ai")

    assert call.ttft_ms == 30


@pytest.mark.parametrize(
    ("message", "error_class"),
    [
        ("Rate limit reached for gpt-4o-mini", "429"),
        ("synthetic 429", "429"),
        ("The server had an internal server error", "5xx"),
        ("Cannot connect to API", "connection"),
        ("no", "other"),
    ],
)
def test_error__class_by_what_the_provider_wrote(message: str, error_class: str) -> None:
    exception = ("exception", {"exception.type": "AI_APICallError", "exception.message": message})
    span = traces.span({"ai.operationId": "ai.generateText.doGenerate"}, events=[exception])

    (call,) = spoken.calls(span, scope="ai")

    assert (call.error, call.error_class) == (True, error_class)


@pytest.mark.parametrize("reason", ["other", "unknown"])
def test_stream_cut_off__reason_that_the_client_makes_up(reason: str) -> None:
    cut = {key: value for key, value in STREAM.items() if not key.startswith("ai.usage.")}

    call = spoken.call(cut | {"ai.response.finishReason": reason}, scope="ai", ms=100)

    assert (call.error, call.error_class, call.finish_reason) == (True, "incomplete", None)


def test_stream__other_reason_with_usage__stays() -> None:
    call = spoken.call(STREAM | {"ai.response.finishReason": "other"}, scope="ai", ms=100)

    assert (call.error, call.finish_reason) == (False, "other")


def test_stream__that_failed_half_way__is_an_error() -> None:
    call = spoken.call(STREAM | {"ai.response.finishReason": "error"}, scope="ai", ms=100)

    assert (call.error, call.finish_reason) == (True, None)

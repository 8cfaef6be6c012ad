"""Calls of Traceloop's OpenLLMetry, with today's and older attributes, and of the Anthropic SDK beside it."""

from observability.core.content import input_text, output_text
from tests import spoken, traces

CHAT = {
    "llm.request.type": "chat",
    "gen_ai.system": "Anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5-20250929",
    "gen_ai.response.model": "claude-sonnet-4-5-20250929",
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Extract the order.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": "Two mugs",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "A mug",
    "gen_ai.completion.0.finish_reason": "end_turn",
    "gen_ai.usage.prompt_tokens": 231,
    "gen_ai.usage.completion_tokens": 150,
    "gen_ai.usage.cache_read_input_tokens": 115,
    "gen_ai.usage.cache_creation_input_tokens": 7,
    "llm.is_streaming": "True",
    "traceloop.prompt.key": "order-extractor",
    "traceloop.prompt.version": "3",
    "traceloop.prompt.version_name": "v2.3",
    "traceloop.association.properties.user_id": "user-42",
    "traceloop.association.properties.session_id": "sess-7",
    "traceloop.association.properties.serinus.exposure": "rol_1:0:canary:182",
}
NATIVE = {
    "gen_ai.provider.name": "anthropic",
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "claude-sonnet-4-5-20250929",
    "gen_ai.usage.input_tokens": 231,
    "gen_ai.usage.output_tokens": 149,
    "gen_ai.usage.cache_write.input_tokens": 7,
    "gen_ai.usage.cache_read.input_tokens": 115,
    "anthropic.message.stop_reason": "max_tokens",
    "gen_ai.response.id": "msg_1",
    "http.response.status_code": 200,
}


def test_anthropic__everything_it_tells() -> None:
    call = spoken.call(CHAT, scope="opentelemetry.instrumentation.anthropic", name="anthropic.chat")

    assert (call.operation, call.provider, call.stream) == ("chat", "anthropic", True)
    assert (call.input_tokens, call.output_tokens) == (231, 150)
    assert (call.cached_tokens, call.cache_write_tokens) == (115, 7)
    assert call.context[:2] == ("order-extractor", "v2.3")
    assert str(call.context.exposure) == "rol_1:0:canary:182"
    assert (call.context.user, call.context.session) == ("user-42", "sess-7")
    assert (input_text(call), output_text(call)) == ("Extract the order.\nTwo mugs", "A mug")


def test_first_chunk__by_either_name_of_its_event() -> None:
    for name in ("gen_ai.content.completion.chunk", "llm.content.completion.chunk"):
        span = traces.span(CHAT, ms=100, events=[(name, {}), (name, {})])
        span.events[0].time_unix_nano = span.start_time_unix_nano + 30_000_000
        span.events[1].time_unix_nano = span.start_time_unix_nano + 60_000_000

        (call,) = spoken.calls(span)

        assert call.ttft_ms == 30


def test_stamp_of_the_app__goes_before_a_prompt_that_leaked() -> None:
    stamp = {"gen_ai.prompt.name": "summary", "gen_ai.prompt.version": "v1"}

    assert spoken.call(CHAT | stamp).context[:2] == ("summary", "v1")


def test_completion_of_older_versions__a_text_completion() -> None:
    assert spoken.call({"llm.request.type": "completion"}).operation == "text_completion"


def test_anthropic_sdk__its_own_span() -> None:
    call = spoken.call(NATIVE, scope="com.anthropic.sdk.python", name="anthropic.messages.create")

    assert (call.input_tokens, call.output_tokens, call.cache_write_tokens) == (231, 149, 7)
    assert (call.finish_reason, call.response_id, call.error) == ("length", "msg_1", False)

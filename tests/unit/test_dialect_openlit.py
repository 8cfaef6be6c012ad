"""Calls of OpenLIT, whose Anthropic spans differ from its others."""

from tests import spoken, traces

ANTHROPIC = "openlit.instrumentation.anthropic"
OPENAI = "openlit.instrumentation.openai"
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5-20250929",
    "gen_ai.usage.input_tokens": 109,
    "gen_ai.usage.output_tokens": 150,
    "gen_ai.usage.cache_read.input_tokens": 115,
    "gen_ai.usage.cache_creation.input_tokens": 7,
    "gen_ai.request.stream": True,
    "gen_ai.server.time_to_first_token": 0.04,
    "gen_ai.server.time_per_output_token": 0,
    "gen_ai.usage.cost": 0,
    "prompt.name": "order-extractor",
    "prompt.version": "v2.3",
}


def test_anthropic__its_input_leaves_out_the_cache() -> None:
    call = spoken.call(CHAT, scope=ANTHROPIC, ms=100)

    assert (call.input_tokens, call.output_tokens) == (231, 150)
    assert (call.cached_tokens, call.cache_write_tokens) == (115, 7)
    assert call.ttft_ms == 40
    assert call.context[:2] == ("order-extractor", "v2.3")


def test_others__their_input_is_whole() -> None:
    assert spoken.call(CHAT, scope=OPENAI).input_tokens == 109


def test_anthropic__failed_call_without_attributes__told_by_scope_and_name() -> None:
    exception = {"exception.type": "anthropic.RateLimitError", "exception.message": "Error code: 429 - slow down"}

    call = spoken.call(
        {"telemetry.sdk.name": "openlit"},
        scope=ANTHROPIC,
        name="chat claude-sonnet-4-5-20250929",
        failed=True,
        events=[("exception", exception)],
    )

    assert (call.operation, call.provider, call.request_model) == ("chat", "anthropic", "claude-sonnet-4-5-20250929")
    assert (call.error, call.error_class) == (True, "429")


def test_other_spans_of_it__no_calls() -> None:
    assert spoken.calls(traces.span({"gen_ai.output.messages": "ok"}, name="answer"), scope="openlit") == []


def test_cost__nothing_for_tokens__is_not_known() -> None:
    assert spoken.call(CHAT, scope=OPENAI).reported_usd is None


def test_openai__stream_that_it_counted_itself__no_tokens() -> None:
    estimated = {key: value for key, value in CHAT.items() if "cache" not in key} | {"gen_ai.usage.cost": 0.002}

    call = spoken.call(estimated, scope=OPENAI)

    assert (call.input_tokens, call.output_tokens, call.reported_usd) == (None, None, None)

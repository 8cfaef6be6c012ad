"""Calls of pydantic-ai and logfire, as models/instrumented.py and integrations/llm_providers write them."""

import json

import pytest

from observability.core.content import output_text
from tests import spoken, traces

AGENT_CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2026-01-15",
    "gen_ai.usage.input_tokens": 215,
    "gen_ai.usage.output_tokens": 21,
    "gen_ai.usage.details.cache_read_tokens": 100,
    "gen_ai.usage.details.reasoning_tokens": 10,
    "gen_ai.conversation.id": "made-up-for-the-run",
    "gen_ai.client.operation.time_to_first_chunk": 0.04,
    "operation.cost": 0.0025,
}
STREAMED_REQUEST = {
    "request_data": json.dumps({"model": "gpt-4o-mini", "stream": True, "messages": []}),
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "logfire.span_type": "span",
}
RECORD = STREAMED_REQUEST | {
    "logfire.span_type": "log",
    "duration": 0.75,
    "response_data": json.dumps(
        {
            "message": {"role": "assistant", "content": "A mug"},
            "usage": {"prompt_tokens": 215, "completion_tokens": 21, "total_tokens": 236},
        }
    ),
}


def test_pydantic_ai__chat_of_an_agent() -> None:
    call = spoken.call(AGENT_CHAT, scope="pydantic-ai", ms=100)

    assert (call.input_tokens, call.output_tokens, call.cached_tokens, call.reasoning_tokens) == (215, 21, 100, 10)
    assert call.ttft_ms == pytest.approx(40)
    assert str(call.reported_usd) == "0.002500000000"


def test_pydantic_ai__conversation_is_no_session() -> None:
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.conversation.id": "made-up-for-the-run"}
    agent |= {"gen_ai.aggregated_usage.input_tokens": 430}

    (call,) = spoken.calls(
        traces.span(AGENT_CHAT, number=1, parent=0), traces.span(agent, number=0), scope="pydantic-ai"
    )

    assert call.context.session is None


def test_pydantic_ai__session_of_the_app__stays() -> None:
    assert spoken.call(AGENT_CHAT | {"session.id": "sess-7"}, scope="pydantic-ai").context.session == "sess-7"


def test_stream__its_record_tells_when_it_began_and_how_long_it_took() -> None:
    span = traces.span(RECORD, ms=0, name="streaming response from 'gpt-4o-mini' took 0.75s")

    (call,) = spoken.calls(span, scope="logfire.openai")

    assert (call.is_summary, call.stream, call.error, call.ttft_ms) == (True, True, False, None)
    assert (call.input_tokens, call.output_tokens, call.duration_ms) == (215, 21, 750)
    assert call.started_ns == span.start_time_unix_nano - 750_000_000
    assert output_text(call) == "A mug"


def test_stream__its_request_is_not_taken_for_cut_off() -> None:
    call = spoken.call(STREAMED_REQUEST, scope="logfire.openai", ms=10)

    assert (call.stream, call.error, call.is_summary) == (True, False, False)


def test_older_versions__told_by_the_name_of_the_span() -> None:
    request = {"request_data": json.dumps({"model": "gpt-4o-mini"})}

    chat = spoken.call(request, scope="logfire.openai", name="Chat Completion with {request_data[model]!r}")
    embedding = spoken.call(request, scope="logfire.openai", name="Embedding Creation with {request_data[model]!r}")

    assert (chat.operation, embedding.operation) == ("chat", "embeddings")
    assert (chat.provider, chat.request_model) == ("openai", "gpt-4o-mini")


def test_scrubbed__is_nobody() -> None:
    scrubbed = {"session.id": "[Scrubbed due to 'session']", "user.id": "[Scrubbed due to 'auth']"}

    context = spoken.call(AGENT_CHAT | scrubbed, scope="pydantic-ai").context

    assert (context.user, context.session) == (None, None)


def test_pydantic_ai__span_of_another_library_inside__conversation_is_no_session() -> None:
    inside = AGENT_CHAT | {"gen_ai.agent.call.id": "made-up-for-the-agent"}

    assert spoken.call(inside, scope="com.anthropic.sdk.python").context.session is None


def test_pydantic_ai__stream_that_was_refused__is_an_error() -> None:
    """Its own status is unset; that of the agent around it is ERROR."""
    refused = {key: value for key, value in AGENT_CHAT.items() if ".usage." not in key and "first_chunk" not in key}

    empty = {"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": []}])}

    call = spoken.call(refused | empty, scope="pydantic-ai", ms=40)

    assert (call.stream, call.error, call.error_class) == (True, True, "incomplete")
    assert not spoken.call(refused, scope="pydantic-ai", ms=40).error


@pytest.mark.parametrize("details", ["completion_tokens_details", "output_tokens_details"])
def test_reasoning__of_the_raw_usage(details: str) -> None:
    usage = {"input_tokens": 215, "output_tokens": 21, details: {"reasoning_tokens": 10}}
    request = {"gen_ai.operation.name": "chat", "gen_ai.usage.raw": json.dumps(usage)}

    assert spoken.call(request, scope="logfire.openai").reasoning_tokens == 10

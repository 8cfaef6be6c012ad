"""Calls of Langfuse's SDKs from version 3 on, as langfuse/_client/attributes.py writes them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from observability.core.content import input_text, output_text
from tests import spoken, traces

GENERATION = {
    "langfuse.observation.type": "generation",
    "langfuse.observation.model.name": "gpt-4o-mini",
    "langfuse.observation.input": json.dumps([{"role": "user", "content": "Two red mugs"}]),
    "langfuse.observation.output": json.dumps({"role": "assistant", "content": "A mug"}),
    "langfuse.observation.usage_details": json.dumps({"prompt_tokens": 215, "completion_tokens": 21}),
    "langfuse.observation.cost_details": json.dumps({"input": 0.001, "total": 0.0025}),
    "langfuse.observation.prompt.name": "order-extractor",
    "langfuse.observation.prompt.version": 3,
    "langfuse.environment": "staging",
    "user.id": "user-42",
    "session.id": "sess-7",
}
FAILURE = {
    "langfuse.observation.type": "generation",
    "langfuse.observation.level": "ERROR",
    "langfuse.observation.status_message": "Error code: 429 - slow down",
}


def test_generation__everything_it_tells() -> None:
    call = spoken.call(GENERATION, scope="langfuse-sdk")

    assert (call.operation, call.request_model) == ("chat", "gpt-4o-mini")
    assert (call.input_tokens, call.output_tokens) == (215, 21)
    assert str(call.reported_usd) == "0.002500000000"
    assert call.context[:2] == ("order-extractor", "3")
    assert (call.context.user, call.context.session, call.environment) == ("user-42", "sess-7", "staging")
    assert (input_text(call), output_text(call)) == ("Two red mugs", "A mug")


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 215, "completion_tokens": 21, "total_tokens": 236}, (215, 21, None, None, None)),
        (
            {
                "prompt_tokens": 215,
                "completion_tokens": 21,
                "prompt_tokens_details": {"cached_tokens": 100},
                "completion_tokens_details": {"reasoning_tokens": 10},
            },
            (215, 21, 100, None, 10),
        ),
        ({"input": 215, "output": 21, "total": 236}, (215, 21, None, None, None)),
        (
            {
                "input": 108,
                "output": 21,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 7,
            },
            (215, 21, 100, 7, None),
        ),
        ({"input": 115, "input_cache_read": 100, "output": 11, "output_reasoning": 10}, (215, 21, 100, None, 10)),
        ({"input_tokens": 108, "output_tokens": 21, "cache_read_input_tokens": 107}, (215, 21, 107, None, None)),
        ({"input": "many", "output": -1}, (None, None, None, None, None)),
        ([1, 2], (None, None, None, None, None)),
    ],
)
def test_usage__as_a_total_and_in_parts(usage: Any, counts: tuple[int | None, ...]) -> None:
    call = spoken.call(GENERATION | {"langfuse.observation.usage_details": json.dumps(usage)})

    found = (call.input_tokens, call.output_tokens, call.cached_tokens, call.cache_write_tokens, call.reasoning_tokens)
    assert found == counts


@pytest.mark.parametrize("quote", ['"', ""])
def test_completion_start__is_the_first_token(quote: str) -> None:
    span = traces.span(GENERATION, ms=100)
    started = traces.pairs({"langfuse.observation.completion_start_time": quote + spoken.moment(span, 40) + quote})
    span.attributes.extend(started)

    (call,) = spoken.calls(span)

    assert call.ttft_ms == pytest.approx(40, abs=0.01)
    assert call.stream


@pytest.mark.parametrize("at", ["soon", "2026-11-23T09:06:00", "9" * 60, 5])
def test_completion_start__no_moment__none(at: Any) -> None:
    assert spoken.call(GENERATION | {"langfuse.observation.completion_start_time": at}).ttft_ms is None


def test_level_error__its_class_by_the_message() -> None:
    call = spoken.call(FAILURE)

    assert (call.error, call.error_class) == (True, "429")


@pytest.mark.parametrize("kind", ["span", "agent", "tool", "chain", "retriever", "event"])
def test_other_observations__no_calls_whatever_else_they_say(kind: str) -> None:
    assert spoken.calls(traces.span({"langfuse.observation.type": kind, "gen_ai.operation.name": "chat"})) == []


def test_embedding__is_one() -> None:
    assert spoken.call({"langfuse.observation.type": "embedding"}).operation == "embeddings"


@pytest.mark.parametrize("of", ["langfuse.observation.metadata.", "langfuse.trace.metadata."])
@pytest.mark.parametrize("write", [str, json.dumps], ids=["before version 5", "from version 5 on"])
def test_assignment_in_metadata__with_and_without_the_quotes_of_json(of: str, write: Callable[[str], str]) -> None:
    stamp = {"gen_ai.prompt.name": "stamped", "gen_ai.prompt.version": "1.10", "serinus.label": "production"}
    bare = {key: value for key, value in GENERATION.items() if "prompt" not in key}

    call = spoken.call(bare | {of + key: write(value) for key, value in stamp.items()}, scope="langfuse-sdk")

    assert (call.context.prompt_name, call.context.prompt_version, call.context.label) == tuple(stamp.values())


def test_user_and_session_in_the_metadata_of_a_call__its_own() -> None:
    told = {"langfuse_user_id": '"user-1"', "langfuse_session_id": '"sess-1"'}
    bare = {key: value for key, value in GENERATION.items() if key not in {"user.id", "session.id"}}

    call = spoken.call(bare | {f"langfuse.observation.metadata.{key}": value for key, value in told.items()})

    assert (call.context.user, call.context.session) == ("user-1", "sess-1")


@pytest.mark.parametrize(
    ("metadata", "response_id"),
    [
        ({"response_id": '"chatcmpl-1"'}, "chatcmpl-1"),
        ({"id": '"resp_1"'}, "resp_1"),
        ({"id": '"an id of the app"'}, None),
    ],
)
def test_response_id_in_metadata__of_the_provider_alone(metadata: dict[str, str], response_id: str | None) -> None:
    told = {f"langfuse.observation.metadata.{key}": value for key, value in metadata.items()}

    assert spoken.call(GENERATION | told, scope="langfuse-sdk").response_id == response_id

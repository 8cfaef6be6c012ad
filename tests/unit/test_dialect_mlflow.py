"""Calls of MLflow's tracing, whose attributes are all written as JSON (mlflow/entities/span.py)."""

import json

import pytest

from observability.core.content import input_text, output_text
from tests import spoken, traces

OUTPUTS = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-mini-2026-01-15",
    "choices": [{"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": "A mug"}}],
}
CHAT = {
    "mlflow.traceRequestId": '"tr-1"',
    "mlflow.spanType": '"CHAT_MODEL"',
    "mlflow.spanInputs": json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Two mugs"}]}),
    "mlflow.spanOutputs": json.dumps(OUTPUTS),
    "mlflow.chat.tokenUsage": json.dumps(
        {"input_tokens": 215, "output_tokens": 21, "total_tokens": 236, "cache_read_input_tokens": 100}
    ),
    "mlflow.llm.model": '"gpt-4o-mini"',
    "mlflow.llm.provider": '"openai"',
    "mlflow.llm.cost": json.dumps({"input_cost": 0.001, "total_cost": 0.0025}),
    "model": '"gpt-4o-mini"',
}


def test_chat__everything_it_tells() -> None:
    call = spoken.call(CHAT, scope="mlflow.tracing.provider")

    assert (call.operation, call.provider) == ("chat", "openai")
    assert (call.request_model, call.response_model) == ("gpt-4o-mini", "gpt-4o-mini-2026-01-15")
    assert (call.input_tokens, call.output_tokens, call.cached_tokens) == (215, 21, 100)
    assert (call.response_id, call.finish_reason) == ("chatcmpl-1", "length")
    assert str(call.reported_usd) == "0.002500000000"
    assert (input_text(call), output_text(call)) == ("Two mugs", "A mug")


def test_tags__stand_on_the_root_alone() -> None:
    root = {
        "mlflow.spanType": '"AGENT"',
        "mlflow.traceTag.prompt.name": "order-extractor",
        "mlflow.traceTag.prompt.version": "3",
        "mlflow.traceTag.serinus.exposure": "rol_1:0:canary:182",
        "user.id": '"user-42"',
    }

    (call,) = spoken.calls(
        traces.span(CHAT, number=2, parent=1),
        traces.span({"mlflow.spanType": '"CHAIN"'}, number=1, parent=0),
        traces.span(root, number=0),
        scope="mlflow.tracing.provider",
    )

    assert call.context[:2] == ("order-extractor", "3")
    assert str(call.context.exposure) == "rol_1:0:canary:182"
    assert call.context.user == "user-42"


def test_attributes_of_the_app__are_quoted_too() -> None:
    mine = {"gen_ai.prompt.name": '"order-extractor"', "gen_ai.prompt.version": '"v2.3"'}

    call = spoken.call(CHAT | mine, scope="mlflow.tracing.provider")

    assert call.context[:2] == ("order-extractor", "v2.3")


def test_linked_prompt__of_the_call() -> None:
    linked = json.dumps([{"name": "order-extractor", "version": "3"}])

    assert spoken.call(CHAT | {"mlflow.linkedPrompts": linked}).context[:2] == ("order-extractor", "3")


@pytest.mark.parametrize(("kind", "operation"), [('"LLM"', "chat"), ("LLM", "chat"), ('"EMBEDDING"', "embeddings")])
def test_type__says_what_it_is(kind: str, operation: str) -> None:
    assert spoken.call({"mlflow.spanType": kind}).operation == operation


@pytest.mark.parametrize("kind", ['"CHAIN"', '"RETRIEVER"', '"TOOL"', '"UNKNOWN"', "{", 5])
def test_type__others__no_calls(kind: object) -> None:
    assert spoken.calls(traces.span({"mlflow.spanType": kind})) == []


def test_stream__first_chunk_by_its_event() -> None:
    chunks = [(f"mlflow.chunk.item.{number}", {"mlflow.chunk.value": "{}"}) for number in range(3)]
    span = traces.span(CHAT, ms=100, events=chunks)
    for number, event in enumerate(span.events):
        event.time_unix_nano = span.start_time_unix_nano + (30 + number) * 1_000_000

    (call,) = spoken.calls(span)

    assert (call.ttft_ms, call.stream) == (30, True)


def test_usage_of_the_answer__what_the_summary_leaves_out() -> None:
    usage = {"prompt_tokens": 215, "completion_tokens": 21, "completion_tokens_details": {"reasoning_tokens": 10}}

    call = spoken.call(CHAT | {"mlflow.spanOutputs": json.dumps(OUTPUTS | {"usage": usage})})

    assert call.reasoning_tokens == 10


def test_embedding__tokens_of_its_answer() -> None:
    answer = {"model": "text-embedding-3-small", "usage": {"prompt_tokens": 18, "total_tokens": 18}}

    call = spoken.call({"mlflow.spanType": '"EMBEDDING"', "mlflow.spanOutputs": json.dumps(answer)})

    assert (call.operation, call.input_tokens) == ("embeddings", 18)


def test_stream_that_it_does_not_follow__is_not_taken_for_cut_off() -> None:
    request = {
        "mlflow.spanType": '"CHAT_MODEL"',
        "mlflow.spanInputs": json.dumps({"model": "claude-sonnet-4-5", "stream": True}),
        "mlflow.spanOutputs": '"<anthropic.Stream object at 0x7f8de5e31b50>"',
    }

    call = spoken.call(request, scope="mlflow.tracing.provider", ms=7)

    assert (call.stream, call.error) == (True, False)

"""Calls of LangSmith and of LangChain through it, as langsmith's _otel_exporter.py writes them."""

import json
from typing import Any

from tests import spoken, traces

USAGE = {
    "input_tokens": 215,
    "output_tokens": 21,
    "total_tokens": 236,
    "input_token_details": {"audio": 0, "cache_read": 100, "cache_creation": 7},
    "output_token_details": {"audio": 0, "reasoning": 10},
}
MODEL = {
    "gen_ai.operation.name": "chat",
    "langsmith.span.kind": "llm",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "langsmith.metadata.usage_metadata": json.dumps(USAGE),
    "langsmith.metadata.prompt_name": "order-extractor",
    "langsmith.metadata.prompt_version": "v2.3",
    "langsmith.metadata.user_id": "user-42",
    "langsmith.metadata.session_id": "sess-7",
    "gen_ai.usage.input_tokens": 215,
    "gen_ai.usage.output_tokens": 21,
}
ABOUT = {"finish_reason": "stop", "model_name": "gpt-4o-mini-2026-01-15"}


def completion(generation: dict[str, Any], **result: Any) -> dict[str, str]:
    return {"gen_ai.completion": json.dumps({"generations": [[generation]], "type": "LLMResult"} | result)}


def test_langchain__everything_it_tells() -> None:
    generation = {"text": "A mug", "message": {"kwargs": {"response_metadata": ABOUT | {"id": "chatcmpl-1"}}}}

    call = spoken.call(MODEL | completion(generation, llm_output=None), scope="langsmith")

    assert (call.request_model, call.response_model) == ("gpt-4o-mini", "gpt-4o-mini-2026-01-15")
    assert (call.response_id, call.finish_reason) == ("chatcmpl-1", "stop")
    assert (call.input_tokens, call.output_tokens, call.cached_tokens) == (215, 21, 100)
    assert (call.cache_write_tokens, call.reasoning_tokens) == (7, 10)
    assert call.context[:2] == ("order-extractor", "v2.3")
    assert (call.context.user, call.context.session) == ("user-42", "sess-7")


def test_langchain__stream__what_its_last_chunk_told() -> None:
    call = spoken.call(MODEL | completion({"text": "A mug", "generation_info": ABOUT}), scope="langsmith")

    assert (call.response_model, call.finish_reason) == ("gpt-4o-mini-2026-01-15", "stop")


def test_langchain__answer__model_and_id_of_the_whole_result() -> None:
    output = {"id": "chatcmpl-1", "model_name": "gpt-4o-mini-2026-01-15"}

    call = spoken.call(MODEL | completion({"text": "A mug"}, llm_output=output), scope="langsmith")

    assert (call.response_id, call.response_model) == ("chatcmpl-1", "gpt-4o-mini-2026-01-15")


def test_error__class_by_the_exception_that_its_message_begins_with() -> None:
    exception = {"exception.type": "Exception", "exception.message": "APIConnectionError('Connection error.')"}
    failed = {"gen_ai.operation.name": "chat", "langsmith.span.kind": "llm"}

    (call,) = spoken.calls(traces.span(failed, events=[("exception", exception)]), scope="langsmith")

    assert (call.error, call.error_class) == (True, "connection")

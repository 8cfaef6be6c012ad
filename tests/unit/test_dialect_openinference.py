"""Calls of OpenInference, by its instrumentations of LangChain and litellm."""

import json
from typing import Any

from tests import spoken

LANGCHAIN = "openinference.instrumentation.langchain"
LITELLM = "openinference.instrumentation.litellm"
MODEL = "claude-sonnet-4-5-20250929"
CHAT = {
    "openinference.span.kind": "LLM",
    "llm.provider": "openai",
    "llm.model_name": "gpt-4o-mini",
    "llm.token_count.prompt": 181,
    "llm.token_count.completion": 113,
}


def result_of_langchain(**told: Any) -> str:
    message = {"lc": 1, "type": "constructor", "kwargs": {"content": "A mug", "response_metadata": told}}
    return json.dumps({"generations": [[{"text": "A mug", "message": message}]], "llm_output": None})


def test_langchain__response_in_what_it_put_out__id_and_model_of_the_answer() -> None:
    told = result_of_langchain(id="chatcmpl-1", model_name="gpt-4o-mini-2026-01-15")

    call = spoken.call(CHAT | {"output.value": told}, scope=LANGCHAIN)

    assert (call.response_id, call.response_model, call.request_model) == (
        "chatcmpl-1",
        "gpt-4o-mini-2026-01-15",
        "gpt-4o-mini",
    )


def test_langchain__user_in_the_metadata_of_its_config__the_user() -> None:
    metadata = json.dumps({"prompt_name": "order-extractor", "user_id": "user-42"})

    call = spoken.call(CHAT | {"metadata": metadata, "session.id": "sess-7"}, scope=LANGCHAIN)

    assert (call.context.prompt_name, call.context.user, call.context.session) == (
        "order-extractor",
        "user-42",
        "sess-7",
    )


def test_litellm__provider_before_the_model__left_out() -> None:
    named = {"llm.provider": "anthropic", "llm.model_name": f"anthropic/{MODEL}"}

    call = spoken.call(CHAT | named, scope=LITELLM)

    assert (call.provider, call.request_model, call.response_model) == ("anthropic", MODEL, MODEL)


def test_litellm__model_whose_own_name_has_two_parts__keeps_them() -> None:
    named = {"llm.provider": "openrouter", "llm.model_name": f"openrouter/anthropic/{MODEL}"}

    assert spoken.call(CHAT | named, scope=LITELLM).request_model == f"anthropic/{MODEL}"


def test_litellm__failed_call_without_a_provider__the_model_all_the_same() -> None:
    failed = {"openinference.span.kind": "LLM", "llm.model_name": f"anthropic/{MODEL}"}

    assert spoken.call(failed, scope=LITELLM, failed=True).request_model == MODEL


def test_litellm__its_own_attributes_on_the_same_span__the_model_without_the_provider() -> None:
    both = {
        "llm.provider": "anthropic",
        "llm.invocation_parameters": json.dumps({"model": f"anthropic/{MODEL}"}),
        "gen_ai.request.model": MODEL,
    }

    assert spoken.call(CHAT | both, scope=LITELLM).request_model == MODEL


def test_litellm__no_model_at_all__none() -> None:
    call = spoken.call({"openinference.span.kind": "LLM", "gen_ai.request.model": ""}, scope=LITELLM)

    assert (call.request_model, call.response_model) == (None, None)

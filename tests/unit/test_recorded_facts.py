"""What each span tells, for every recorded body: what the provider sent wherever the body holds it, else nothing.

Several spans may tell of one call; each is held against the provider's log by itself.
"""

from typing import Any

import pytest

from observability.core.calls import CallFacts, find_calls
from observability.core.dialects import WANTED
from observability.core.otlp import decode_json, decode_protobuf
from tests import recorded

CASES = recorded.client_cases()
OWN_RESPONSE_IDS = {"litellm/a_chat"}  # the provider's stands only in the span of the raw request
LANGCHAIN = "openinference.instrumentation.langchain"
TOKENS = ("input_tokens", "output_tokens")


def calls_of(case: dict[str, Any]) -> list[CallFacts]:
    spans = []
    for request in recorded.trace_requests(case):
        decode = decode_json if request.content_type == "application/json" else decode_protobuf
        spans += decode(request.plain, WANTED).spans
    return find_calls(spans).calls


def by_scope(calls: list[CallFacts]) -> list[list[CallFacts]]:
    """The calls that each instrumentation tells of, in order of time: within one, every call is told once."""
    return [
        sorted((call for call in calls if call.scope == scope), key=lambda call: call.started_ns)
        for scope in sorted({call.scope for call in calls})
    ]


def told(calls: list[CallFacts], name: str) -> set[Any]:
    return {value for call in calls if (value := getattr(call, name)) is not None}


@pytest.mark.parametrize("case", CASES, ids=recorded.name_of)
def test_calls__each_instrumentation_tells_every_call_once(case: dict[str, Any]) -> None:
    expected = case["expected"]

    calls = calls_of(case)

    assert calls
    for of_scope in by_scope(calls):
        llm_calls = [call for call in of_scope if call.is_llm_call]
        embeddings = [call for call in of_scope if not call.is_llm_call]
        assert len(llm_calls) in {expected["n_llm_calls"], 0}
        assert len(embeddings) in {expected["n_embedding_calls"], 0}
        assert {call.operation for call in llm_calls} <= {"chat"}
        if llm_calls:
            assert sum(call.error for call in of_scope) == expected["n_errors"]
    assert max(sum(call.is_llm_call for call in of_scope) for of_scope in by_scope(calls)) == expected["n_llm_calls"]
    if case["wire"]["carried"]["embedding_span"] is not False:
        found = max(sum(not call.is_llm_call for call in of_scope) for of_scope in by_scope(calls))
        assert found == expected["n_embedding_calls"]


@pytest.mark.parametrize("case", CASES, ids=recorded.name_of)
def test_numbers__as_the_provider_sent_them(case: dict[str, Any]) -> None:
    carried = case["wire"]["carried"]

    for of_scope in by_scope(calls_of(case)):
        for call, sent in paired(of_scope, case["expected"]):
            for name in TOKENS:
                assert getattr(call, name) in ({sent[name]} if carried[name] else {None})
            if carried["cache_read_tokens"]:
                assert call.cached_tokens in {sent["cache_read_tokens"], None}
                assert call.reasoning_tokens in {sent["reasoning_tokens"], None}
                assert call.cache_write_tokens in {sent["cache_creation_tokens"], None}
            assert call.provider == sent["provider"]
            assert call.error == sent["error"]
            assert call.finish_reason in {sent.get("finish_reason"), None}


@pytest.mark.parametrize("case", CASES, ids=recorded.name_of)
def test_names__found_where_the_body_holds_them(case: dict[str, Any]) -> None:
    expected, carried = case["expected"], case["wire"]["carried"]
    sent = [call for call in expected["calls"] if call["operation"] != "embeddings"]

    llm_calls = [call for call in calls_of(case) if call.is_llm_call]

    if sent:
        assert told(llm_calls, "request_model") == {call["request_model"] for call in sent}
        if carried["response_model"]:
            # LangChain's span of a stream repeats the model that was asked for.
            repeated = {call.request_model for call in llm_calls if call.scope == LANGCHAIN}
            answered = {call["response_model"] for call in sent if not call["error"]}
            assert told(llm_calls, "response_model") - repeated == answered
        if carried["cache_read_tokens"]:
            assert told(llm_calls, "cached_tokens") == {call["cache_read_tokens"] for call in sent}
    if carried["response_id"] and recorded.name_of(case) not in OWN_RESPONSE_IDS:
        assert told(llm_calls, "response_id") == {call["response_id"] for call in sent if not call["error"]}
    contexts = [call.context for call in llm_calls]
    for field, name in (("prompt_name",) * 2, ("prompt_version",) * 2, ("user", "user"), ("session", "session")):
        values = {getattr(context, field) for context in contexts} - {None}
        assert values == ({expected[name]} if carried[name] else set())


@pytest.mark.parametrize("case", CASES, ids=recorded.name_of)
def test_first_token__within_its_bounds_or_none(case: dict[str, Any]) -> None:
    bounds, carried = case["expected"]["ttft_bounds_ms"], case["wire"]["carried"]["ttft"]

    found = told(calls_of(case), "ttft_ms")

    assert bool(found) == bool(carried)
    for ttft_ms in found:
        assert bounds[0] <= ttft_ms <= bounds[1]


def paired(calls: list[CallFacts], expected: dict[str, Any]) -> list[tuple[CallFacts, dict[str, Any]]]:
    """Each LLM call with what the provider sent for it: the last of the attempts that a client made in one call."""
    llm_calls = [call for call in calls if call.is_llm_call]
    sent = [call for call in expected["calls"] if call["operation"] != "embeddings"]
    if not sent or not llm_calls:
        return []
    return list(zip(llm_calls, sent[len(sent) - len(llm_calls) :], strict=True))

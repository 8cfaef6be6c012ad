"""Every recorded client's requests give the calls that its provider saw: all that the bodies carry, nothing more.

Ground truth is the provider's own log (shared/captures/otlp/index.json): `wire.carried` says of each fact whether it is
in the bodies at all. The same calls must come out in whatever requests and in whatever order the spans arrive.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from observability.privacy import user_hash
from tests import make, recorded

CASES = recorded.client_cases()
SPANS_OF_A_CASE = 20  # one request a span; the largest case has 600 spans that have nothing to do with each other
NO_TOKENS = {None, 0}
FIELDS = {  # of a call in the API: by its name in the ground truth and in wire.carried
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cached_tokens": "cache_read_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "request_model": "request_model",
    "response_id": "response_id",
    "finish_reason": "finish_reason",
    "stream": "stream",
}
UNTRUE = {  # what a client makes up and nothing on the wire tells from the truth
    ("openlit-openai", "input_tokens"),  # its own count, where the provider sent none
    ("openlit-openai", "output_tokens"),
    ("litellm", "response_id"),  # its own, of Anthropic's answers
}
FINISH_REASONS = (b"finish_reason", b"finishReason", b"stop_reason")  # whoever sends one calls it so
CLOCKS_MS = 2  # the provider's clock and the client's are read at different places
CLASSES = {200: {"incomplete", "connection"}, 429: {"429"}, 500: {"5xx"}}  # 200: cut in the middle of a stream

Requests = list[recorded.Request]
Call = dict[str, Any]

pytestmark = pytest.mark.django_db


def as_recorded(requests: Requests) -> Requests:
    return requests


def one_by_one(requests: Requests) -> Requests:
    return [one for request in requests for one in recorded.one_by_one(request)]


def the_last_first(requests: Requests) -> Requests:
    return one_by_one(requests)[::-1]


def shuffled(requests: Requests) -> Requests:
    alone = one_by_one(requests)
    return random.Random(4).sample(alone, len(alone))


@pytest.fixture
def read_calls() -> Callable[[Iterable[recorded.Request]], list[Call]]:
    """Posts the requests, each answered with 200, and reads the calls back, the oldest first."""
    make.version(make.prompt(), "2.3")
    ingest, read = make.key("ingest"), make.key("read")

    def post(request: recorded.Request) -> None:
        headers = {"Authorization": f"Bearer {ingest}", "Content-Encoding": request.content_encoding}
        answer = Client().post("/v1/traces", request.body, content_type=request.content_type, headers=headers)
        assert answer.status_code == 200, answer.content

    def calls(requests: Iterable[recorded.Request]) -> list[Call]:
        for request in requests:
            post(request)
        query = {"limit": "500"}
        found: list[Call] = []
        while True:
            answer = Client().get("/api/v1/calls", query, headers={"Authorization": f"Bearer {read}"}).json()
            found += answer["items"]
            if answer["next"] is None:
                return sorted(found, key=lambda call: str(call["started_at"]))
            query["cursor"] = answer["next"]

    return calls


# A client's spans are put together in the same way on every database: one order of them is enough on PostgreSQL.
ARRIVING = [as_recorded, one_by_one, the_last_first, shuffled] if connection.vendor == "sqlite" else [shuffled]


@pytest.mark.parametrize("arriving", ARRIVING, ids=lambda how: how.__name__)
@pytest.mark.parametrize("case", CASES, ids=recorded.name_of)
def test_recorded_client__calls_of_the_provider(
    case: dict[str, Any], arriving: Callable[[Requests], Requests], read_calls: Callable[[Requests], list[Call]]
) -> None:
    if arriving is not as_recorded and case["wire"]["n_spans"] > SPANS_OF_A_CASE:
        arriving = as_recorded  # its spans are traces of their own, so that their order is nothing to a test

    calls = read_calls(arriving(list(recorded.trace_requests(case))))

    expected, carried = case["expected"], case["wire"]["carried"]
    chats = [call for call in calls if call["operation"] != "embeddings"]
    embeddings = [call for call in calls if call["operation"] == "embeddings"]
    assert len(chats) == expected["n_llm_calls"]
    assert len(embeddings) == expected["n_embedding_calls"] * (carried["embedding_span"] is not False)
    assert sum(call["error"] for call in calls) == expected["n_errors"]
    for call, truth in zip(chats, truths(expected, embeddings=False), strict=bool(expected["calls"])):
        assert_facts(call, truth, case, certain=True)
        assert_ttft(call, expected["ttft_bounds_ms"] if carried["ttft"] else None)
    for call, truth in zip(embeddings, truths(expected, embeddings=True), strict=bool(embeddings)):
        assert_facts(call, truth, case, certain=False)  # wire.carried is about the LLM calls
        assert_ttft(call, None)
    for call in chats:
        assert_context(call, expected, carried)
    for call in embeddings:  # some clients tell the prompt on every span inside, others only on the LLM call
        assert call["prompt"] in {None, expected["prompt_name"]}


def truths(expected: Mapping[str, Any], *, embeddings: bool) -> list[Mapping[str, Any]]:
    """What the provider saw of each call, the oldest first: of attempts that were made again, only the last."""
    seen = [of for of in expected["calls"] if (of["operation"] == "embeddings") == embeddings]
    return [of for of in seen if not of["error"]] if not expected["n_errors"] else seen


def assert_facts(call: Call, truth: Mapping[str, Any], case: Mapping[str, Any], *, certain: bool) -> None:
    """What the bodies carry, where that is certain; and of everything else the truth or nothing."""
    for key, of in FIELDS.items():
        sent, invented = truth.get(of), (case["client"], key) in UNTRUE
        if certain and case["wire"]["carried"].get(of) and sent is not None and not invented:
            assert call[key] == sent, key
        elif not invented:
            assert call[key] in {None, sent} | (NO_TOKENS if key.endswith("tokens") else set()), key
    if certain and case["wire"]["carried"]["response_model"]:
        assert call["response_model"] == truth.get("response_model")
    if certain and any(key in request.plain for request in recorded.trace_requests(case) for key in FINISH_REASONS):
        assert call["finish_reason"] == truth.get("finish_reason")
    assert call["response_model"] in {None, truth.get("response_model"), truth["request_model"]}  # some repeat it
    assert call["provider"] == truth["provider"] or (call["provider"] is None and not certain)
    assert call["error"] == truth["error"]
    if truth["error"]:
        assert call["error_class"] in CLASSES[truth["http_status"]]
    assert call["duration_ms"] >= truth["duration_ms_provider"] - CLOCKS_MS


def assert_ttft(call: Call, bounds_ms: list[float] | None) -> None:
    if bounds_ms:
        at_least, at_most = bounds_ms
        assert at_least <= call["ttft_ms"] <= at_most
    else:
        assert call["ttft_ms"] is None


def assert_context(call: Call, expected: Mapping[str, Any], carried: Mapping[str, Any]) -> None:
    """What the client's script set and its instrumentation sent; else nothing."""
    user, version = expected["user"], expected["prompt_version"]
    assert call["prompt"] == (expected["prompt_name"] if carried["prompt_name"] else None)
    assert call["version"] == (version if carried["prompt_version"] else None)
    assert call["user_hash"] == (user_hash(user) if carried["user"] else None)
    assert call["session"] == (expected["session"] if carried["session"] else None)


def test_recorded_client__batch_of_600_spans__every_token(read_calls: Callable[[Requests], list[Call]]) -> None:
    case = next(case for case in CASES if case["case"] == "big_batch")

    calls = read_calls(list(recorded.trace_requests(case)))

    expected = case["expected"]
    assert sum(call["input_tokens"] for call in calls) == expected["total_input_tokens"]
    assert sum(call["output_tokens"] for call in calls) == expected["total_output_tokens"]

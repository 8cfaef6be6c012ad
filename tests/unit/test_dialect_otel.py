"""Calls of the official GenAI conventions: every recorded body against what the provider really sent."""

from typing import Any

import pytest

from observability.core.calls import CallFacts, find_calls
from observability.core.dialects import WANTED
from observability.core.evidence import Exposure
from observability.core.otlp import decode_json, decode_protobuf
from tests import recorded, traces
from tests.traces import CHAT

EXPOSURE = "rol_06b3t2k9w0x4y8z1c5d7:0:canary:182"


def facts(*spans: Any, **kwargs: Any) -> list[CallFacts]:
    return find_calls(decode_protobuf(traces.body(*spans, **kwargs), WANTED).spans).calls


def fact(attributes: dict[str, Any] | None = None, **kwargs: Any) -> CallFacts:
    """The call that a chat span with these attributes tells of."""
    (call,) = facts(traces.span(CHAT | (attributes or {}), **kwargs))
    return call


@pytest.mark.parametrize("case", recorded.official_cases(), ids=recorded.name_of)
def test_recorded_body__what_the_provider_sent(case: dict[str, Any]) -> None:
    expected, carried = case["expected"], case["wire"]["carried"]

    calls, finish_reason_sent = [], False
    for request in recorded.trace_requests(case):
        decode = decode_json if request.content_type == "application/json" else decode_protobuf
        calls += find_calls(decode(request.plain, WANTED).spans).calls
        finish_reason_sent = finish_reason_sent or b"finish_reason" in request.plain

    llm_calls = [call for call in calls if call.is_llm_call]
    assert len(llm_calls) == expected["n_llm_calls"]
    assert len(calls) - len(llm_calls) == expected["n_embedding_calls"]
    assert sum(call.error for call in calls) == expected["n_errors"]
    for call in llm_calls:
        assert call.context.prompt_name == (expected["prompt_name"] if carried["prompt_name"] else None)
        assert call.context.prompt_version == (expected["prompt_version"] if carried["prompt_version"] else None)
        assert call.context.user == (expected["user"] if carried["user"] else None)
        assert call.context.session == (expected["session"] if carried["session"] else None)
        assert_ttft(call, expected["ttft_bounds_ms"] if carried["ttft"] else None)
    for call, sent in paired(llm_calls, expected):
        assert_numbers(call, sent, carried)
        assert call.finish_reason == (sent.get("finish_reason") if finish_reason_sent else None)
    if "total_input_tokens" in expected:
        assert sum(call.input_tokens or 0 for call in calls) == expected["total_input_tokens"]
        assert sum(call.output_tokens or 0 for call in calls) == expected["total_output_tokens"]


def paired(calls: list[CallFacts], expected: dict[str, Any]) -> list[tuple[CallFacts, dict[str, Any]]]:
    """Each call with what the provider sent for it: the last of the attempts that a client made in one call."""
    sent = [call for call in expected["calls"] if call["operation"] != "embeddings"]
    sent = sent[len(sent) - len(calls) :] if sent else []
    return list(zip(sorted(calls, key=lambda call: call.started_ns), sent, strict=bool(sent)))


def assert_ttft(call: CallFacts, bounds: list[float] | None) -> None:
    if bounds is None:
        assert call.ttft_ms is None
    else:
        assert call.ttft_ms is not None
        assert bounds[0] <= call.ttft_ms <= bounds[1]
        assert call.stream


def assert_numbers(call: CallFacts, sent: dict[str, Any], carried: dict[str, Any]) -> None:
    assert call.operation == sent["operation"]
    assert call.provider == sent["provider"]
    assert call.request_model == sent["request_model"]
    assert call.error == sent["error"]
    for name in ("input_tokens", "output_tokens"):
        assert getattr(call, name) == (sent[name] if carried[name] else None)
    if carried["response_id"]:
        assert call.response_id == sent["response_id"]
        assert call.response_model == sent["response_model"]
    if carried["cache_read_tokens"]:
        assert call.cached_tokens == sent["cache_read_tokens"]
        assert call.reasoning_tokens == sent["reasoning_tokens"]


@pytest.mark.parametrize(
    ("status", "error_class"), [(429, "429"), (500, "5xx"), (503, "5xx"), (400, "4xx"), (408, "timeout")]
)
def test_error__http_status__its_class(status: int, error_class: str) -> None:
    call = fact({"http.response.status_code": status})

    assert (call.error, call.error_class) == (True, error_class)


@pytest.mark.parametrize(
    ("error_type", "error_class"),
    [
        ("openai.RateLimitError", "429"),
        ("429", "429"),
        ("openai.InternalServerError", "5xx"),
        ("openai.APIConnectionError", "connection"),
        ("openai.APITimeoutError", "timeout"),
        ("openai.BadRequestError", "4xx"),
        ("_OTHER", "other"),
    ],
)
def test_error__type__its_class(error_type: str, error_class: str) -> None:
    call = fact({"error.type": error_type})

    assert (call.error, call.error_class) == (True, error_class)


def test_error__exception_without_output__told_by_its_message() -> None:
    exception = ("exception", {"exception.type": "Failed", "exception.message": "Error code: 429 - slow down"})

    call = fact(events=[exception])

    assert (call.error, call.error_class) == (True, "429")


def test_error__exception_that_was_handled__output_came__none() -> None:
    call = fact({"gen_ai.usage.output_tokens": 5}, events=[("exception", {"exception.type": "Failed"})])

    assert (call.error, call.error_class) == (False, None)


def test_error__stream_without_finish_and_usage__incomplete() -> None:
    call = fact({"gen_ai.request.stream": True})

    assert (call.error, call.error_class) == (True, "incomplete")


def test_error__status_alone__other() -> None:
    call = fact(failed=True)

    assert (call.error, call.error_class) == (True, "other")


@pytest.mark.parametrize(
    ("attributes", "ttft_ms"),
    [
        ({"gen_ai.response.time_to_first_chunk": 0.04}, 40),
        ({"gen_ai.client.operation.time_to_first_chunk": 0.04}, 40),
        ({"gen_ai.response.time_to_first_chunk": "0.04"}, 40),
        ({"gen_ai.server.time_to_first_token": 0.04, "gen_ai.request.stream": True}, 40),
        ({"gen_ai.server.time_to_first_token": 0.04}, None),  # OpenLIT writes the full latency here without streaming
        ({"gen_ai.response.time_to_first_chunk": 0.04, "gen_ai.request.stream": False}, None),
        ({"gen_ai.response.time_to_first_chunk": 0.0}, None),
        ({"gen_ai.response.time_to_first_chunk": -0.04}, None),
        ({"gen_ai.response.time_to_first_chunk": 0.101}, None),  # later than the end of the span, which took 100 ms
        ({"gen_ai.response.time_to_first_chunk": float("nan")}, None),
        ({}, None),
    ],
)
def test_ttft__only_from_a_stream_and_within_the_span(attributes: dict[str, Any], ttft_ms: float | None) -> None:
    assert fact(attributes, ms=100).ttft_ms == pytest.approx(ttft_ms)


def test_ttft__event_of_the_first_token() -> None:
    streamed = traces.span(ms=100, events=[("gen_ai.first_token", {})])
    streamed.events[0].time_unix_nano = streamed.start_time_unix_nano + 30_000_000

    (call,) = facts(streamed)

    assert call.ttft_ms == 30
    assert call.stream


def test_inter_token__reasoning_comes_before_the_first_chunk() -> None:
    call = fact(
        {
            "gen_ai.response.time_to_first_chunk": 0.04,
            "gen_ai.usage.output_tokens": 14,
            "gen_ai.usage.reasoning.output_tokens": 3,
        },
        ms=100,
    )

    assert call.inter_token_ms == pytest.approx(6)  # (100 - 40) ms over 14 - 3 - 1 gaps


def test_inter_token__one_token__none() -> None:
    call = fact({"gen_ai.response.time_to_first_chunk": 0.04, "gen_ai.usage.output_tokens": 1}, ms=100)

    assert call.inter_token_ms is None


@pytest.mark.parametrize("count", [-1, 2**62, "many", 1.5, float("nan"), True])
def test_tokens__absurd__none(count: Any) -> None:
    assert fact({"gen_ai.usage.input_tokens": count}).input_tokens is None


@pytest.mark.parametrize("count", [215, "215", 215.0])
def test_tokens__as_number_or_text(count: Any) -> None:
    assert fact({"gen_ai.usage.input_tokens": count}).input_tokens == 215


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("gen_ai.response.finish_reasons", ["end_turn"], "stop"),
        ("gen_ai.response.finish_reasons", '["tool_use"]', "tool_calls"),
        ("gen_ai.response.finish_reason", "max_tokens", "length"),
        ("gen_ai.response.stop_reason", "refusal", "content_filter"),
        ("gen_ai.output.messages", '[{"role": "assistant", "finish_reason": "stop"}]', "stop"),
        ("gen_ai.output.messages", "not JSON", None),
        ("gen_ai.response.finish_reasons", [], None),
    ],
)
def test_finish_reason__normalised(attribute: str, value: Any, reason: str | None) -> None:
    assert fact({attribute: value}).finish_reason == reason


@pytest.mark.parametrize("operation", ["invoke_agent", "execute_tool", "retrieval", "chain", ""])
def test_other_operations__no_calls(operation: str) -> None:
    assert facts(traces.span({"gen_ai.operation.name": operation}), traces.span({}, number=1)) == []


def test_duration__clock_was_set_back__none() -> None:
    assert fact(ms=-5).duration_ms is None


@pytest.mark.parametrize("version", ["v2.3", 3, "3"])
def test_prompt__version_is_text_however_it_is_sent(version: Any) -> None:
    call = fact({"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": version})

    assert (call.context.prompt_name, call.context.prompt_version) == ("order-extractor", str(version))


def test_prompt__old_messages_under_the_same_prefix__no_prompt() -> None:
    assert fact({"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "hi"}).context.prompt_name is None


def test_assignment_event__stands_in_for_evicted_attributes() -> None:
    stamp = {
        "gen_ai.prompt.name": "order-extractor",
        "gen_ai.prompt.version": "v2.3",
        "serinus.exposure": EXPOSURE,
        "user.id": "user-42",
        "session.id": "sess-7",
    }

    context = fact(events=[("serinus.assignment", stamp)]).context

    assert context.exposure == Exposure("rol_06b3t2k9w0x4y8z1c5d7", 0, "canary", 182)
    assert (context.prompt_name, context.prompt_version) == ("order-extractor", "v2.3")
    assert (context.user, context.session) == ("user-42", "sess-7")


@pytest.mark.parametrize("exposure", ["rol_1:0:canary:256", "rol_1:0:both:1", "rol_1:0:canary", "", 5])
def test_exposure__malformed__none(exposure: Any) -> None:
    assert fact({"serinus.exposure": exposure}).context.exposure is None


def test_ancestors__nearest_wins_and_siblings_do_not_count() -> None:
    far = {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "v2.3", "user.id": "far"}
    near = {"user.id": "near", "serinus.exposure": EXPOSURE}

    (call,) = facts(
        traces.span(CHAT, number=2, parent=1),
        traces.span(near, number=1, parent=0),
        traces.span(far, number=0),
        traces.span({"session.id": "of a sibling"}, number=3, parent=0),
    )

    assert (call.context.prompt_name, call.context.prompt_version) == ("order-extractor", "v2.3")
    assert str(call.context.exposure) == EXPOSURE
    assert (call.context.user, call.context.session) == ("near", None)


def test_ancestors__other_prompt__its_version_and_exposure_are_not_ours() -> None:
    other = {
        "gen_ai.prompt.name": "agent",
        "gen_ai.prompt.version": "v9",
        "serinus.exposure": EXPOSURE,
        "user.id": "user-42",
    }

    (call,) = facts(
        traces.span(CHAT | {"gen_ai.prompt.name": "order-extractor"}, number=1, parent=0), traces.span(other)
    )

    assert call.context.prompt_name == "order-extractor"
    assert call.context.prompt_version is None
    assert call.context.exposure is None
    assert call.context.user == "user-42"


def test_ancestors__other_trace__not_related() -> None:
    (call,) = facts(traces.span(CHAT, number=1, parent=0), traces.span({"user.id": "user-42"}, trace=1))

    assert call.context.user is None


def test_ancestors__in_a_circle__ends() -> None:
    calls = facts(
        traces.span(CHAT, number=0, parent=1),
        traces.span(CHAT | {"user.id": "user-42"}, number=1, parent=0),
        traces.span(CHAT, number=2, parent=2),
    )

    assert len(calls) == 3


def test_ancestors__a_long_line_of_calls__all_inherit() -> None:
    line = [traces.span(CHAT, number=n, parent=n - 1) for n in range(1, 5_000)]

    calls = facts(*line, traces.span({"user.id": "user-42"}))

    assert {call.context.user for call in calls} == {"user-42"}


def test_scrubbed_user__dropped() -> None:
    call = fact({"user.id": "[Scrubbed due to 'user']", "session.id": "[Scrubbed due to 'session']"})

    assert (call.context.user, call.context.session) == (None, None)


@pytest.mark.parametrize(
    ("sent", "provider"), [("xai", "x_ai"), ("az.ai.openai", "azure.ai.openai"), ("OpenAI", "openai")]
)
def test_provider__older_names(sent: str, provider: str) -> None:
    assert fact({"gen_ai.system": sent}).provider == provider


def test_environment__of_the_span_before_the_resource() -> None:
    resource = {"deployment.environment.name": "production"}
    staging = {"deployment.environment": "staging"}

    of_span, of_resource = facts(traces.span(CHAT | staging), traces.span(CHAT, number=1), resource=resource)

    assert (of_span.environment, of_resource.environment) == ("staging", "production")


def test_text__what_no_database_holds__left_out() -> None:
    call = fact({"gen_ai.request.model": "gpt\0-4o" + "x" * 300})

    assert call.request_model is not None
    assert call.request_model.startswith("gpt-4ox")
    assert len(call.request_model) == 200


@pytest.mark.parametrize("per_token_s", [1e306, 5.0])
def test_call__a_token_takes_longer_than_the_call__no_inter_token_latency(per_token_s: float) -> None:
    (call,) = facts(traces.span(CHAT | {"gen_ai.server.time_per_output_token": per_token_s}, ms=100))

    assert call.inter_token_ms is None

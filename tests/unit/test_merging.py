"""Which spans tell of one call, and what they tell of it together. Times are milliseconds, spans told by numbers."""

import random
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core.calls import EMBEDDINGS, CallFacts, Context
from observability.core.evidence import Exposure
from observability.core.merging import Related, awaits_another_attempt, group, unite
from tests.traces import span_id, trace_id

NATIVE = "com.anthropic.sdk.python"
OPENAI = "openinference.instrumentation.openai"
LANGCHAIN = "openinference.instrumentation.langchain"
LITELLM = "litellm"
LOGFIRE = "logfire.openai"
VERCEL = "ai"
APP = "order-app"


def told(
    number: int,
    *,
    scope: str = OPENAI,
    trace: int = 0,
    at: float = 0,
    ms: float | None = 100,
    tokens: tuple[int | None, int | None] = (163, 55),
    within: Sequence[int] = (),
    wrapper: int | None = None,
    error: str | None = None,
    **facts: Any,
) -> Related:
    """A call told by span `number`, inside the spans `within`."""
    empty: dict[str, Any] = dict.fromkeys(CallFacts._fields)
    known = {
        "trace_id": trace_id(trace),
        "span_id": span_id(number),
        "parent_id": b"",
        "scope": scope,
        "context": Context(),
        "operation": "chat",
        "input_tokens": tokens[0],
        "output_tokens": tokens[1],
        "duration_ms": ms,
        "started_ns": 1_780_000_000_000_000_000 + int(at * 1e6),
        "error": error is not None,
        "error_class": error,
        "attempts": 1,
        "attempt_of": None if wrapper is None else span_id(wrapper),
        "is_summary": False,
    }
    return Related(CallFacts(**empty | known | facts), frozenset(map(span_id, within)))


def grouped(*calls: Related) -> list[list[int]]:
    """The groups by the places of their calls, whichever order the calls are given in."""
    found = places(group(calls))
    assert places([[len(calls) - 1 - i for i in members] for members in group(calls[::-1])]) == found
    return found


def places(groups: list[list[int]]) -> list[list[int]]:
    return sorted(sorted(members) for members in groups)


def united(*calls: Related) -> CallFacts:
    made = unite([related.call for related in calls])
    assert unite([related.call for related in calls[::-1]]) == made
    return made


# Response ids


@pytest.mark.parametrize(("scope", "trace"), [(NATIVE, 0), (NATIVE, 1)])
def test_group__same_response_id__one_call(scope: str, trace: int) -> None:
    calls = [
        told(1, response_id="msg_1"),
        told(2, scope=scope, trace=trace, at=599_999, tokens=(163, 56), response_id="msg_1"),
    ]

    assert grouped(*calls) == [[0, 1]]


def test_group__response_replayed_by_a_cache_in_another_trace__two_calls_each_with_its_twin() -> None:
    calls = [
        told(2 * trace + twin, scope=scope, trace=trace, at=5_000 * trace, response_id="msg_1")
        for trace in (0, 1)
        for twin, scope in enumerate((OPENAI, NATIVE))
    ]

    assert grouped(*calls) == [[0, 1], [2, 3]]


def test_group__same_response_id_after_more_than_ten_minutes__two_calls() -> None:
    calls = [told(1, response_id="msg_1"), told(2, at=600_001, response_id="msg_1")]

    assert grouped(*calls) == [[0], [1]]


def test_group__embedding_with_the_response_id_of_a_chat__two_calls() -> None:
    calls = [told(1, response_id="1"), told(2, scope=NATIVE, response_id="1", operation=EMBEDDINGS)]

    assert grouped(*calls) == [[0], [1]]


# Ancestors


def test_group__call_inside_a_call_of_another_scope__one_call() -> None:
    calls = [told(1), told(2, scope=NATIVE, at=8, ms=90, within=[1])]

    assert grouped(*calls) == [[0, 1]]


def test_group__own_id_of_litellm_around_the_providers__one_call() -> None:
    calls = [
        told(1, scope=LITELLM, ms=2300, response_id="chatcmpl-uuid"),
        told(2, scope=NATIVE, at=1800, within=[1], response_id="msg_1"),
    ]

    assert grouped(*calls) == [[0, 1]]


def test_group__three_instrumentations_one_above_the_other__one_call() -> None:
    calls = [
        told(1, scope=APP, ms=3000),
        told(2, scope=LANGCHAIN, at=100, ms=700, tokens=(None, None), within=[1]),
        told(3, scope=OPENAI, at=120, ms=600, within=[1, 2]),
    ]

    assert grouped(*calls) == [[0, 1, 2]]


def test_group__span_of_the_app_with_the_usage_of_its_last_call__only_that_one() -> None:
    calls = [
        told(1, scope=APP, ms=1000, tokens=(20, 7)),
        told(2, at=10, tokens=(10, 5), within=[1]),
        told(3, at=300, tokens=(None, None), error="rate_limit", within=[1]),
        told(4, at=500, tokens=(20, 7), within=[1]),
    ]

    assert grouped(*calls) == [[0, 3], [1], [2]]


@pytest.mark.parametrize("other_scope", [OPENAI, NATIVE])
def test_group__span_without_usage_around_several_calls__none_of_them(other_scope: str) -> None:
    calls = [
        told(1, scope=APP, ms=1000, tokens=(None, None)),
        told(2, at=10, tokens=(10, 5), within=[1]),
        told(3, scope=other_scope, at=500, tokens=(10, 5), within=[1]),
    ]

    assert grouped(*calls) == [[0], [1], [2]]


@pytest.mark.parametrize("inner_error", [None, "rate_limit"])
def test_group__one_side_without_usage__one_call(inner_error: str | None) -> None:
    outer_usage = (10, 5) if inner_error is None else (None, None)
    calls = [
        told(1, scope=LITELLM, tokens=outer_usage),
        told(2, scope=NATIVE, tokens=(None, None), error=inner_error, within=[1]),
    ]

    assert grouped(*calls) == [[0, 1]]


def test_group__failed_call_inside_one_that_got_its_answer__two_calls_until_more_is_known() -> None:
    calls = [
        told(1, scope=LANGCHAIN, ms=900, tokens=(10, 5)),
        told(2, ms=50, tokens=(None, None), error="rate_limit", within=[1]),
    ]

    assert grouped(*calls) == [[0], [1]]


@pytest.mark.parametrize(
    "differing",
    [
        {"scope": LANGCHAIN},
        {"tokens": (163, 56)},
        {"operation": EMBEDDINGS, "tokens": (163, None)},
        {"at": 126},
    ],
    ids=["same scope", "other usage", "embedding", "begun after the end"],
)
def test_group__call_inside_a_call_that_it_cannot_be__two_calls(differing: dict[str, Any]) -> None:
    calls = [told(1, scope=LANGCHAIN), told(2, **{"within": [1], "ms": 10} | differing)]

    assert grouped(*calls) == [[0], [1]]


def test_group__embedding_inside_an_embedding__one_call() -> None:
    calls = [
        told(1, scope=LITELLM, operation=EMBEDDINGS, tokens=(23, 0)),
        told(2, operation=EMBEDDINGS, tokens=(23, None), within=[1]),
    ]

    assert grouped(*calls) == [[0, 1]]


# Same time


@pytest.mark.parametrize("trace", [0, 1], ids=["one trace", "two traces"])
@pytest.mark.parametrize("error", [None, "rate_limit"])
def test_group__other_scope_at_the_same_time_with_equal_usage__one_call(trace: int, error: str | None) -> None:
    tokens = (163, 55) if error is None else (None, None)
    calls = [
        told(1, scope=LANGCHAIN, ms=164, tokens=tokens, error=error),
        told(2, trace=trace, at=12, ms=151, tokens=tokens, error=error, response_id="chatcmpl-1"),
    ]

    assert grouped(*calls) == [[0, 1]]


@pytest.mark.parametrize("trace", [0, 1], ids=["one trace", "two traces"])
@pytest.mark.parametrize(
    "differing",
    [
        {"scope": LANGCHAIN},
        {"tokens": (163, 56)},
        {"error": "timeout"},
        {"response_id": "chatcmpl-2"},
        {"at": 60},
        {"request_model": "gpt-4.1"},
        {"context": Context(prompt_name="triage")},
        {"context": Context(exposure=Exposure("r1", 1, "control", 9))},
        {"operation": EMBEDDINGS},
    ],
    ids=["scope", "usage", "error", "both with ids", "time", "model", "prompt", "exposure", "kind"],
)
def test_group__other_call_at_the_same_time__two_calls(trace: int, differing: dict[str, Any]) -> None:
    context = Context(prompt_name="order-extractor", exposure=Exposure("r1", 1, "canary", 9))
    calls = [
        told(1, scope=LANGCHAIN, response_id="chatcmpl-1", request_model="gpt-4o-mini", context=context),
        told(2, trace=trace, **differing),
    ]

    assert grouped(*calls) == [[0], [1]]


def test_group__model_with_its_maker_and_with_its_date__one_call() -> None:
    calls = [
        told(1, scope=LITELLM, request_model="openai/gpt-4o-mini"),
        told(2, trace=1, request_model=None, response_model="gpt-4o-mini-2026-01-15"),
    ]

    assert grouped(*calls) == [[0, 1]]


def test_group__calls_without_any_usage_in_two_traces__nothing_says_that_they_are_one() -> None:
    calls = [told(1, tokens=(None, None)), told(2, scope=LANGCHAIN, trace=1, tokens=(None, None))]

    assert grouped(*calls) == [[0], [1]]


def test_group__long_failure_around_a_short_one_in_another_trace__two_calls() -> None:
    calls = [
        told(1, ms=60_000, tokens=(None, None), error="timeout"),
        told(2, scope=LANGCHAIN, trace=1, at=500, tokens=(None, None), error="rate_limit"),
    ]

    assert grouped(*calls) == [[0], [1]]


# Records of streams


def test_group__record_of_a_stream__with_the_request_that_began_with_it() -> None:
    calls = [
        told(1, scope=LOGFIRE, ms=10, tokens=(None, None)),
        told(2, scope=LOGFIRE, at=2000, ms=10, tokens=(None, None)),
        told(3, scope=LOGFIRE, at=2008, ms=760, is_summary=True),
        told(4, scope=LOGFIRE, at=4, ms=800, is_summary=True),
        told(5, scope=LOGFIRE, at=9000, is_summary=True),
    ]

    assert grouped(*calls) == [[0, 3], [1, 2], [4]]


def test_group__record_in_another_trace__with_the_nearest_request() -> None:
    calls = [
        told(1, scope=LOGFIRE, ms=10, tokens=(None, None)),
        told(2, scope=LOGFIRE, at=400, ms=10, trace=1, tokens=(None, None)),
        told(3, scope=LOGFIRE, at=411, trace=2, is_summary=True),
        told(4, scope=LOGFIRE, at=11, trace=3, is_summary=True),
    ]

    assert grouped(*calls) == [[0, 3], [1, 2]]


@pytest.mark.parametrize("other", [{"scope": VERCEL}, {"request_model": "o3"}, {"parent_id": span_id(9)}])
def test_group__record_in_another_trace__of_another_call__alone(other: dict[str, Any]) -> None:
    request = told(1, scope=LOGFIRE, ms=10, tokens=(None, None), request_model="gpt-4o")
    record = told(2, **({"scope": LOGFIRE, "trace": 1, "is_summary": True} | other))

    assert grouped(request, record) == [[0], [1]]


# Attempts


def test_group__attempts_under_one_wrapper__up_to_each_success() -> None:
    failed: dict[str, Any] = {"scope": VERCEL, "wrapper": 9, "error": "rate_limit", "tokens": (None, None)}
    step: dict[str, Any] = {"scope": VERCEL, "wrapper": 9}
    calls = [
        told(1, at=0, **failed),
        told(2, at=200, **failed),
        told(3, at=400, **step),
        told(4, at=600, **step),
        told(5, at=800, **failed),
        told(6, at=1000, **step),
        told(7, at=1200, **failed),
    ]

    assert grouped(*calls) == [[0, 1, 2], [3], [4, 5], [6]]


def test_group__failed_call_beside_another_under_one_wrapper__not_its_attempt() -> None:
    calls = [
        told(1, scope=VERCEL, wrapper=9, ms=500, error="timeout", tokens=(None, None)),
        told(2, scope=VERCEL, wrapper=9, at=100),
    ]

    assert grouped(*calls) == [[0], [1]]


def test_group__attempts_that_another_instrumentation_tells_of_too__one_call() -> None:
    failed: dict[str, Any] = {"error": "rate_limit", "tokens": (None, None)}
    calls = [
        told(1, scope=VERCEL, wrapper=9, **failed),
        told(2, at=5, ms=90, within=[1], **failed),
        told(3, scope=VERCEL, wrapper=9, at=500),
        told(4, at=505, ms=90, within=[3]),
    ]

    assert grouped(*calls) == [[0, 1, 2, 3]]
    call = united(*calls)
    assert (call.span_id, call.error, call.attempts, call.duration_ms) == (span_id(3), False, 2, 100)


@pytest.mark.parametrize(
    ("error", "wrapper", "ended", "awaits"),
    [("rate_limit", 9, False, True), ("rate_limit", 9, True, False), (None, 9, False, False), ("timeout", None, 0, 0)],
)
def test_awaits_another_attempt__only_a_failed_one_whose_wrapper_runs(
    error: str | None, wrapper: int | None, ended: bool, awaits: bool
) -> None:
    attempt = told(1, error=error, wrapper=wrapper)._replace(wrapper_ended=bool(ended))

    assert awaits_another_attempt(attempt) == bool(awaits)


# One call of many


def test_unite__outer_span_stands_for_it__and_others_add_what_it_does_not_tell() -> None:
    outer = told(
        *(1,),
        ms=300,
        context=Context(prompt_name="order-extractor", prompt_version="v2.3", user="hash"),
        request_model="claude-sonnet-4-5",
        response_id="own-uuid",
    )
    inner = told(
        *(2,),
        scope=NATIVE,
        at=9,
        ms=280,
        tokens=(163, 54),
        context=Context(prompt_name="order-extractor", user="other", session="s-1", label="production"),
        provider="anthropic",
        response_id="msg_1",
        stream=True,
        ttft_ms=120.0,
        inter_token_ms=3.0,
        cached_tokens=115,
        finish_reason="stop",
    )

    call = united(inner, outer)

    assert (call.key, call.scope, call.started_ns, call.duration_ms) == (
        *(outer.call.key, OPENAI, outer.call.started_ns),
        300,
    )
    assert call.context == Context("order-extractor", "v2.3", None, "production", "hash", "s-1")
    assert (call.input_tokens, call.output_tokens, call.cached_tokens) == (163, 54, 115)
    assert (call.provider, call.request_model, call.response_id) == ("anthropic", "claude-sonnet-4-5", "msg_1")
    assert (call.stream, call.ttft_ms, call.inter_token_ms, call.finish_reason) == (True, 120.0, 3.0, "stop")
    assert (call.error, call.error_class, call.attempts) == (False, None, 1)


def test_unite__other_prompt_inside__its_version_is_not_taken() -> None:
    outer = told(1, ms=300, context=Context(prompt_name="order-extractor"))
    inner = told(2, context=Context(prompt_name="triage", prompt_version="v1", user="hash"))

    assert united(outer, inner).context == Context(prompt_name="order-extractor", user="hash")


def test_unite__usage_of_the_outer_span__where_none_is_the_providers() -> None:
    call = united(told(1, scope=APP, ms=300, tokens=(10, 5)), told(2, tokens=(11, 6), cached_tokens=4))

    assert (call.input_tokens, call.output_tokens, call.cached_tokens) == (10, 5, 4)


def test_unite__outer_repeats_the_requested_model__the_exact_one() -> None:
    call = united(
        told(1, ms=300, request_model="gpt-4o-mini", response_model="gpt-4o-mini"),
        told(2, request_model="gpt-4o-mini", response_model="gpt-4o-mini-2026-01-15"),
    )

    assert call.response_model == "gpt-4o-mini-2026-01-15"


@pytest.mark.parametrize(
    ("outer", "inner", "error_class"),
    [
        (None, "rate_limit", "rate_limit"),
        ("other", "rate_limit", "rate_limit"),
        ("timeout", "other", "timeout"),
        ("other", "incomplete", "incomplete"),
        ("other", None, "other"),
        ("incomplete", None, None),
        (None, None, None),
    ],
)
def test_unite__one_says_that_it_failed__the_most_exact_class(
    outer: str | None, inner: str | None, error_class: str | None
) -> None:
    call = united(told(1, ms=300, error=outer), told(2, scope=NATIVE, error=inner))

    assert (call.error, call.error_class) == (error_class is not None, error_class)


def test_unite__nobody_saw_the_end_of_the_stream__incomplete() -> None:
    call = united(told(1, ms=300, error="incomplete", tokens=(None, None)), told(2, scope=NATIVE, tokens=(163, None)))

    assert (call.error, call.error_class) == (True, "incomplete")


def test_unite__record_of_a_stream__its_end_and_no_error() -> None:
    request = told(1, scope=LOGFIRE, ms=10, tokens=(None, None), stream=True, error="incomplete")
    record = told(2, scope=LOGFIRE, at=4, ms=800, is_summary=True)

    call = united(request, record)

    assert (call.key, call.is_summary, call.duration_ms) == (request.call.key, False, 804)
    assert (call.error, call.output_tokens) == (False, 55)


def test_unite__time_to_first_token_beyond_the_call__none() -> None:
    assert united(told(1, ms=None), told(2, ms=None, ttft_ms=120.0)).ttft_ms is None


def test_unite__attempts_that_all_failed__the_last_with_their_number() -> None:
    failed: dict[str, Any] = {"wrapper": 9, "tokens": (None, None)}

    call = united(told(1, ms=800, error="timeout", attempts=2, **failed), told(2, at=900, error="rate_limit", **failed))

    assert (call.span_id, call.error_class, call.attempts, call.duration_ms) == (span_id(2), "rate_limit", 3, 100)


def test_unite__attempts_without_end__no_more_than_a_column_holds() -> None:
    calls = [told(n, attempts=9_000, attempt_of=b"wrapper!") for n in (1, 2, 3, 4)]

    assert united(*calls).attempts == 10_000


def test_unite__attempts_counted_by_one_of_two_spans__not_added() -> None:
    assert united(told(1, ms=300), told(2, scope=NATIVE, attempts=3)).attempts == 3


# Properties


@st.composite
def busy_requests(draw: st.DrawFn) -> list[Related]:
    """Calls near each other in few traces, of few scopes and usages, some inside others: hard to tell apart."""
    calls: list[Related] = []
    for number in range(draw(st.integers(1, 14))):
        trace = draw(st.integers(0, 1))
        near = [n for n, call in enumerate(calls) if call.call.trace_id == trace_id(trace)]
        error = draw(st.sampled_from([None, None, "rate_limit", "incomplete"]))
        calls.append(
            told(
                number,
                scope=draw(st.sampled_from([OPENAI, NATIVE, LANGCHAIN])),
                trace=trace,
                at=draw(st.integers(0, 6)) * 50,
                ms=draw(st.sampled_from([None, 20, 100, 300])),
                tokens=draw(st.sampled_from([(10, 5), (10, 6), (None, None)])),
                within=draw(st.lists(st.sampled_from(near), max_size=2, unique=True)) if near else (),
                error=error,
                response_id=draw(st.sampled_from([None, None, None, "a", "b"])),
                wrapper=draw(st.sampled_from([None, None, None, 99])),
                is_summary=draw(st.integers(0, 9)) == 0,
            )
        )
    return calls


@given(busy_requests(), st.randoms(use_true_random=False))
def test_group__any_order__each_call_once_in_the_same_group(calls: list[Related], random_: random.Random) -> None:
    shuffled = random_.sample(range(len(calls)), len(calls))

    found = places(group(calls))

    assert sorted(index for members in found for index in members) == list(range(len(calls)))
    again = group([calls[index] for index in shuffled])
    assert places([[shuffled[place] for place in members] for members in again]) == found


@given(busy_requests())
def test_group__guesses_alone__never_one_scope_twice_nor_calls_apart_in_time_nor_other_usage(
    calls: list[Related],
) -> None:
    guessed = [
        Related(call._replace(response_id=None, attempt_of=None, is_summary=False), ancestors)
        for call, ancestors, _ in calls
    ]

    for members in group(guessed):
        facts = [guessed[index].call for index in members]
        assert len({call.scope for call in facts}) == len(facts)
        ends = [call.started_ns + int((call.duration_ms or 0) * 1e6) for call in facts]
        assert max(call.started_ns for call in facts) <= min(ends) + 25_000_000
        assert len({(c.input_tokens, c.output_tokens) for c in facts if c.output_tokens and not c.error}) <= 1


@given(busy_requests(), st.randoms(use_true_random=False))
def test_unite__any_group_in_any_order__one_call_that_holds_together(
    calls: list[Related], random_: random.Random
) -> None:
    for members in group(calls):
        facts = [calls[index].call for index in members]

        call = unite(facts)

        assert unite(random_.sample(facts, len(facts))) == call
        assert call.key in {fact.key for fact in facts}
        assert call.error == (call.error_class is not None)
        assert call.attempts >= 1


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_group__parallel_identical_calls_with_twins__each_with_its_own(
    starts: list[int], random_: random.Random
) -> None:
    calls = []
    for number, at in enumerate(starts):
        calls.append(told(2 * number, scope=LANGCHAIN, trace=2 * number, at=at, ms=160))
        calls.append(told(2 * number + 1, trace=2 * number + 1, at=at + 4, ms=150, response_id=f"chatcmpl-{number}"))

    found = group(random_.sample(calls, len(calls)))

    assert [len(members) for members in found] == [2] * len(starts)


# Work


def seconds(calls: Sequence[Related]) -> float:
    began = time.process_time()
    group(calls)
    return time.process_time() - began


@pytest.mark.parametrize("kind", ["one trace", "many traces", "failures", "nested", "records", "attempts", "one id"])
def test_group__ten_times_the_calls__about_ten_times_the_work(kind: str) -> None:
    def calls(n: int) -> list[Related]:
        return [
            told(
                i,
                scope=LANGCHAIN if i % 2 else OPENAI,
                trace=i if kind == "many traces" else 0,
                error="timeout" if kind in {"failures", "attempts"} else None,
                within=[i - 1] if kind == "nested" and i % 2 else (),
                is_summary=kind == "records" and i % 2 == 0,
                tokens=(None, None) if kind in {"records", "failures"} else (10, 5),
                wrapper=999_999 if kind == "attempts" else None,
                response_id="x" if kind == "one id" else None,
            )
            for i in range(n)
        ]

    few, many = calls(300), calls(3000)

    assert min(seconds(many) for _ in range(2)) < 40 * max(min(seconds(few) for _ in range(3)), 0.001)

"""One call of what several spans tell about it."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from observability.core.calls import INCOMPLETE, CallFacts, Context
from observability.core.merging.groups import end_ns

NATIVE_ANTHROPIC = "com.anthropic.sdk.python"  # counts what the provider sent; others are off by one in a stream
OTHER = "other"
USAGE = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")


def unite(calls: Sequence[CallFacts]) -> CallFacts:
    """The calls of a group as one.

    The outermost span stands for it: prompt, user and time are its own, and whatever it does not tell is taken from the
    others. Of several attempts the last stands for it, with its own start, duration and time to first token: what was
    waited for the failed ones is the client's back-off, not the model's time.
    """
    if len(calls) == 1:
        return calls[0]
    told = _outermost_first(_of_last_attempt(calls))
    outer = told[0]
    usage = _usage(told)
    duration_ms = _duration_ms(told)
    timed = next((call for call in told if call.ttft_ms and duration_ms and call.ttft_ms <= duration_ms), None)
    finish_reason = _first(told, "finish_reason")
    error_class = _error_class(told, answered=finish_reason is not None or usage["output_tokens"] is not None)
    return outer._replace(
        context=_context(told),
        provider=_first(told, "provider"),
        request_model=_first(told, "request_model"),
        response_model=_response_model(told),
        response_id=_first(_native_first(told), "response_id"),
        stream=any(call.stream for call in told) or _first(told, "stream"),
        **usage,
        ttft_ms=timed and timed.ttft_ms,
        inter_token_ms=(timed and timed.inter_token_ms) or _first(told, "inter_token_ms"),
        duration_ms=duration_ms,
        finish_reason=finish_reason,
        error=error_class is not None,
        error_class=error_class,
        environment=_first(told, "environment"),
        reported_usd=_first(told, "reported_usd"),
        attempts=_attempts(calls),
        attempt_of=_first(told, "attempt_of"),
        input_messages=_first(told, "input_messages"),
        output_messages=_first(told, "output_messages"),
    )


def _of_last_attempt(calls: Sequence[CallFacts]) -> Sequence[CallFacts]:
    """What tells of the last attempt, where attempts have a span each: no twin of an earlier one."""
    attempts = [call for call in calls if call.attempt_of is not None]
    if len(attempts) < 2:
        return calls
    last = max(attempts, key=attrgetter("started_ns", "key"))
    return [last, *(call for call in calls if call.attempt_of is None and _meet(call, last))]


def _meet(one: CallFacts, other: CallFacts) -> bool:
    return max(one.started_ns, other.started_ns) <= min(end_ns(one), end_ns(other))


def _outermost_first(calls: Sequence[CallFacts]) -> list[CallFacts]:
    """The longest first, for one that lies around another is longer. A stream's record lies around nothing."""
    return sorted(calls, key=lambda call: (call.is_summary, -(call.duration_ms or 0), call.started_ns, call.key))


def _native_first(told: Sequence[CallFacts]) -> list[CallFacts]:
    return sorted(told, key=lambda call: call.scope != NATIVE_ANTHROPIC)


def _first(told: Sequence[CallFacts], field: str) -> Any:
    return next((value for call in told if (value := getattr(call, field)) is not None), None)


def _usage(told: Sequence[CallFacts]) -> dict[str, Any]:
    """Of Anthropic's own span before the outermost, and what neither tells of the others."""
    by_trust = _native_first(told)
    return {field: _first(by_trust, field) for field in USAGE}


def _duration_ms(told: Sequence[CallFacts]) -> float | None:
    """The outermost's own. A stream whose record tells its end lasted as long as that, not as long as its request."""
    lasted = [call.duration_ms for call in told if call.is_summary and call.duration_ms is not None]
    outermost: float | None = _first(told, "duration_ms")
    return outermost if outermost is None else max([outermost, *lasted])


def _response_model(told: Sequence[CallFacts]) -> Any:
    """Some only repeat the model that was asked for, so one that says another one knows better."""
    exact = [call for call in told if call.response_model != call.request_model]
    return _first(exact, "response_model") or _first(told, "response_model")


def _context(told: Sequence[CallFacts]) -> Context:
    context = told[0].context
    for call in told[1:]:
        context = _filled(context, call.context)
    return context


def _filled(context: Context, other: Context) -> Context:
    """Version, exposure and label belong to a prompt, so they are not taken from one who tells of another prompt."""
    fields: tuple[str, ...] = Context._fields
    if context.prompt_name and other.prompt_name and context.prompt_name != other.prompt_name:
        fields = ("user", "session", "feature")
    missing = {field: getattr(other, field) for field in fields if getattr(context, field) is None}
    return context._replace(**missing)


def _error_class(told: Sequence[CallFacts], *, answered: bool) -> str | None:
    """The most exact class of those who say that it failed, None if nobody does.

    A stream without an end is one that nobody saw the end of: of the request alone it looks so, with its record not.
    """
    classes = [call.error_class or OTHER for call in told if call.error]
    if exact := next((found for found in classes if found not in {INCOMPLETE, OTHER}), None):
        return exact
    if OTHER in classes:
        return INCOMPLETE if INCOMPLETE in classes else OTHER
    return INCOMPLETE if classes and not answered else None


def _attempts(calls: Sequence[CallFacts]) -> int:
    """How often it was tried: each span of an attempt counts, several spans of one attempt do not."""
    counted = sum(call.attempts for call in calls if call.attempt_of is not None)
    return max(counted, *(call.attempts for call in calls))

"""One call of what several spans tell about it."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from observability.core.calls import INCOMPLETE, NS_PER_MS, CallFacts, Context
from observability.core.merging.groups import end_ns

NATIVE_ANTHROPIC = "com.anthropic.sdk.python"  # counts what the provider sent; others are off by one in a stream
OTHER = "other"
MOST_ATTEMPTS = 10_000  # far above any client's patience, and within what a column holds
OF_THE_PROVIDER = (
    *("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens"),
    "response_id",
)


def unite(calls: Sequence[CallFacts]) -> CallFacts:
    """The calls of a group as one.

    The outermost span stands for it: prompt, user and time are its own, and whatever it does not tell is taken from the
    others. Of several attempts the last stands for it, with its own start, duration and time to first token: what was
    waited for the failed ones is the client's back-off, not the model's time.
    """
    if len(calls) == 1:
        return calls[0]
    told = _outermost_first(_of_last_attempt(calls))
    first = _first_told(told)
    duration_ms = _duration_ms(told)
    timed = next((call for call in told if call.ttft_ms and duration_ms and call.ttft_ms <= duration_ms), None)
    answered = first.finish_reason is not None or first.output_tokens is not None
    error_class = _error_class(told, answered=answered)
    return first._replace(
        context=_context(told),
        response_model=_response_model(told) or first.response_model,
        stream=any(call.stream for call in told) or first.stream,
        ttft_ms=timed and timed.ttft_ms,
        inter_token_ms=(timed and timed.inter_token_ms) or first.inter_token_ms,
        duration_ms=duration_ms,
        error=error_class is not None,
        error_class=error_class,
        attempts=_attempts(calls),
        **_told_by_the_provider(told),
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


def _first_told(told: Sequence[CallFacts]) -> CallFacts:
    """Of every field what the first tells that tells anything about it."""
    first = told[0]
    for call in told[1:]:
        first = CallFacts._make([other if own is None else own for own, other in zip(first, call, strict=True)])
    return first


def _told_by_the_provider(told: Sequence[CallFacts]) -> dict[str, Any]:
    """Usage and response id by Anthropic's own span, where it is among them."""
    native = next((call for call in told if call.scope == NATIVE_ANTHROPIC), None)
    if native is None:
        return {}
    return {field: value for field in OF_THE_PROVIDER if (value := getattr(native, field)) is not None}


def _duration_ms(told: Sequence[CallFacts]) -> float | None:
    """The outermost's own. A stream whose record tells its end lasted as long as that, not as long as its request."""
    outermost = next((call.duration_ms for call in told if call.duration_ms is not None), None)
    if outermost is None:
        return None
    started_ns = told[0].started_ns
    records = [call for call in told if call.is_summary and call.duration_ms is not None]
    until_their_ends = [(end_ns(call) - started_ns) / NS_PER_MS for call in records]
    return max([outermost, *until_their_ends])


def _response_model(told: Sequence[CallFacts]) -> str | None:
    """One that is not the model that was asked for knows better than those who only repeat it."""
    models = (call.response_model for call in told if call.response_model != call.request_model)
    return next((model for model in models if model), None)


def _context(told: Sequence[CallFacts]) -> Context:
    context = told[0].context
    for call in told[1:]:
        if call.context != context:
            context = _filled(context, call.context)
    return context


def _filled(context: Context, other: Context) -> Context:
    """Version, exposure and label belong to a prompt, so they are not taken from one who tells of another prompt."""
    fields: tuple[str, ...] = Context._fields
    if context.prompt_name and other.prompt_name and context.prompt_name != other.prompt_name:
        fields = ("user", "session", "feature")
    missing = {field: getattr(other, field) for field in fields if getattr(context, field) is None}
    return context._replace(**missing) if missing else context


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
    return min(MOST_ATTEMPTS, max(counted, *(call.attempts for call in calls)))

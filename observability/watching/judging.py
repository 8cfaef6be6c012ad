"""Is judging kept up? Scores that are missing too often, and budgets of judging that are nearly or wholly used up.

A score that failed is missing from its first attempt on, though it may come with a later one: a judge that is away is
told of within minutes, and not when the last attempt has failed too.
"""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from django.conf import settings

from common.clock import now
from observability.models import AlertKind, JudgingBudget, JudgingDay, Missing, Severity
from observability.selectors.judging import Judged, Key, commonest, looked_at_since, stopped_by_budget, waits
from observability.services import alerts
from observability.watching.amounts import percent

LOOKED_AT = timedelta(minutes=30)
LEAST_ASKED = 20
TOO_MANY, MOST, FEW_AGAIN = 0.2, 0.5, 0.05  # shares that are missing: a warning, critical, well again
WARNED_AT = 0.8  # of a budget
OTHERWISE_TOLD = frozenset({Missing.BUDGET.value})  # which has an alert of its own
WORDS: Mapping[Missing, str] = {
    Missing.NO_OUTPUT: "the calls answered no text",
    Missing.NO_TEXT: "the calls came without their texts",
    Missing.NO_CONTEXTS: "nothing was retrieved for the calls",
    Missing.UNREACHABLE: "the judge cannot be reached",
    Missing.TIMEOUT: "the judge takes too long",
    Missing.REFUSED: "the judge refuses",
    Missing.NOT_JSON: "the judge's answers are not as asked for",
    Missing.OUT_OF_RANGE: "the judge's scores are not between 0 and 1",
    Missing.NOT_INSTALLED: "the evaluator needs a package that is not installed",
    Missing.FAILED: "the evaluator fails",
    Missing.TOO_OLD: "they waited for too long",
}


def check() -> None:
    """Fire and resolve the alerts judge_failing and judging_budget."""
    _check_judges()
    _check_budgets()


def _check_judges() -> None:
    at = now()
    found = looked_at_since(at - LOOKED_AT)
    lately = looked_at_since(at - min(LOOKED_AT, settings.ALERT_RESOLVE_AFTER))
    open_ = alerts.open_causes(AlertKind.JUDGE_FAILING)
    for key, judged in found.items():
        cause = _cause_of(key)
        missing, asked = _counts(judged)
        is_bad = asked >= LEAST_ASKED and missing > TOO_MANY * asked
        is_well = missing <= FEW_AGAIN * asked or _is_well_again(lately.get(key, Judged()))
        if is_well and cause in open_ and asked:
            alerts.resolve(cause=cause)
        elif not is_well and (is_bad or cause in open_):
            _fire_failing(key, judged)
    seen = {_cause_of(key) for key, judged in found.items() if _counts(judged)[1]}
    if unseen := open_ - seen:  # asked only then: SQLite reads all evaluations for what waits
        for cause in unseen - {_cause_of(key) for key in waits()}:  # nothing of it is judged any more
            alerts.resolve(cause=cause)


def _is_well_again(lately: Judged) -> bool:
    """Whether enough was asked lately, and of it no more is missing than anywhere, whatever was before."""
    missing, asked = _counts(lately)
    return asked >= LEAST_ASKED and missing <= FEW_AGAIN * asked


def _fire_failing(key: Key, judged: Judged) -> None:
    missing, asked = _counts(judged)
    reason = commonest(judged.missing, but=OTHERWISE_TOLD)
    why = f", mostly because {WORDS[reason]}" if reason else ""
    again = f"; {judged.tried} of them are tried again" if judged.tried else ""
    alerts.fire(
        kind=AlertKind.JUDGE_FAILING,
        cause=_cause_of(key),
        severity=Severity.CRITICAL if missing > MOST * asked else Severity.WARNING,
        summary=f"{key.version} gave no score for {missing} of {asked} calls of {key.prompt} in half an hour"
        f"{why}{again}",
        data={
            "evaluator": key.version,
            "missing": missing,
            "tried": judged.tried,
            "settled": asked - judged.tried,
            "reason": reason.value if reason else None,
            "reasons": dict(judged.missing),
            "minutes": LOOKED_AT.total_seconds() / 60,
        },
        prompt=key.prompt,
    )


def _counts(judged: Judged) -> tuple[int, int]:
    """Scores that are missing, finally or until another attempt brings them, and all that were asked for, without those
    that a budget stopped."""
    missing = judged.tried + sum(number for reason, number in judged.missing.items() if reason not in OTHERWISE_TOLD)
    return missing, missing + judged.scored


def _cause_of(key: Key) -> str:
    return f"{AlertKind.JUDGE_FAILING}:{key.prompt}::{key.version}"


def _check_budgets() -> None:
    today = now().date()
    days = JudgingDay.objects.filter(day=today).select_related("prompt").order_by("prompt__name")
    budgets = JudgingBudget.objects.in_bulk([day.prompt_id for day in days])
    seen = set()
    for day in days:
        budget = budgets.get(day.prompt_id, JudgingBudget())
        used = max(_used(day.calls, budget.calls_a_day), _used(day.usd, budget.usd_a_day))
        if used >= WARNED_AT:
            seen.add(_fire_budget(day, budget, used))
    for cause in alerts.open_causes(AlertKind.JUDGING_BUDGET) - seen:
        alerts.resolve(cause=cause)


def _fire_budget(day: JudgingDay, budget: JudgingBudget, used: float) -> str:
    name = day.prompt.name
    cause = f"{AlertKind.JUDGING_BUDGET}:{name}::"
    stopped = stopped_by_budget(prompt_id=day.prompt_id, since=day.day)
    spent = used >= 1
    alerts.fire(
        kind=AlertKind.JUDGING_BUDGET,
        cause=cause,
        severity=Severity.CRITICAL if spent else Severity.WARNING,
        summary=f"Today's judging budget of {name} is used up: {stopped} calls were not judged"
        if spent
        else f"{percent(used)} of today's judging budget of {name} is used",
        data={
            "used": used,
            "calls": day.calls,
            "calls_a_day": budget.calls_a_day,
            "usd": str(day.usd.normalize()),
            "usd_a_day": None if budget.usd_a_day is None else str(budget.usd_a_day),
            "stopped": stopped,
            "day": day.day.isoformat(),
        },
        prompt=name,
    )
    return cause


def _used(what: int | Decimal, of: int | Decimal | None) -> float:
    """The share of a limit that is used; of no limit nothing ever is, of none at all everything."""
    if of is None:
        return 0.0
    return float(what / of) if of else 1.0

"""What the page of spending shows, part by part: values ready to be printed, so that the template only places them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from django.utils.safestring import SafeString

from observability.core.times import midnight
from observability.models import Dimension
from observability.selectors.hours import Spending
from observability.selectors.spend import Spender, Spent
from rollout.charts import Line, Panel, meter, series_chart
from rollout.formats import DASH, count, estimate, money
from rollout.pages.windows import Window

HASH_SHOWN = 8  # characters of a user's hash: enough to tell the biggest spenders apart
LINES = 3  # of single spenders, beside the one of all
MODELS_NAMED = 3
NOBODY = "none named"


@dataclass(frozen=True, slots=True)
class SpenderRow:
    """prompt: its page's name, or empty where there is no such prompt."""

    words: str
    prompt: str
    cost: str
    share: SafeString
    share_words: str
    calls: str
    per_call: str
    tokens: str
    unpriced: str


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Calls whose cost is not known. models: without a price though their tokens are known; others: the calls
    that they do not explain."""

    calls: str
    models: str
    others: str


def headline(found: Spent, days: int, by: str) -> str:
    """What was spent, and by whom most of it."""
    total = float(found.total.cost_usd)
    if not found.total.calls:
        return f"No call came in the last {days} days"
    spent = f"{money(total)} in the last {days} days"
    if not total or not found.spenders or found.spenders[0].value is None:
        return spent
    most = found.spenders[0]
    return f"{spent}, {estimate(float(most.total.cost_usd) / total, 'share')} of it by {by} {named(most.value, by)}"


def named(value: str | None, by: str) -> str:
    if value is None:
        return NOBODY
    return value[:HASH_SHOWN] if by == Dimension.USER else value


def spender_row(spender: Spender, total: Spending, by: str, known: Collection[str]) -> SpenderRow:
    sums = spender.total
    priced = sums.calls - sums.unpriced
    share = float(sums.cost_usd / total.cost_usd) if total.cost_usd else None
    share_words = estimate(share, "share")
    return SpenderRow(
        words=named(spender.value, by),
        prompt=spender.value if spender.value and spender.value in known else "",
        cost=money(float(sums.cost_usd) if priced else None),
        share=meter(share, words=f"{share_words} of the cost") if share is not None else SafeString(""),
        share_words=share_words,
        calls=count(sums.calls),
        per_call=money(float(sums.cost_usd) / priced if priced else None),
        tokens=f"{count(sums.input_tokens)} in, {count(sums.output_tokens)} out",
        unpriced=count(sums.unpriced) if sums.unpriced else DASH,
    )


def chart(by_day: Mapping[date, Spending], found: Spent, window: Window, by: str) -> SafeString:
    """Cost and calls per day, of all and of those that spent most; none where nothing was spent."""
    if not found.total.calls:
        return SafeString("")
    cost = [_line("all", by_day, window, "all")]
    cost += [_line(named(spender.value, by), spender.days, window) for spender in found.spenders[:LINES]]
    calls = [(midnight(day), float(by_day[day].calls) if day in by_day else 0.0) for day in window.each_day]
    return series_chart(
        [Panel("Cost per day", cost, money), Panel("Calls per day", [Line("all", calls, "all")], _whole)],
        marks=(),
        title="Cost and calls per day",
        description=f"{headline(found, window.days, by)}. Today is not over.",
    )


def unpriced(by_model: Mapping[str | None, Spending]) -> Unpriced | None:
    """None where every call has its cost."""
    without = {model: sums for model, sums in by_model.items() if sums.unpriced}
    if not without:
        return None
    told = sorted(
        (model for model, sums in without.items() if model and sums.unpriced_tokens),
        key=lambda model: -without[model].unpriced_tokens,
    )
    more = len(told) - MODELS_NAMED
    others = sum(sums.unpriced for model, sums in without.items() if model not in told)
    return Unpriced(
        calls=_calls(sum(sums.unpriced for sums in without.values())),
        models=", ".join(told[:MODELS_NAMED]) + (f" and {more} more" if more > 0 else ""),
        others=_calls(others) if others else "",
    )


def _line(name: str, days: Mapping[date, Spending], window: Window, kind: str = "plain") -> Line:
    points = [(midnight(day), float(days[day].cost_usd) if day in days else 0.0) for day in window.each_day]
    return Line(name, points, "all" if kind == "all" else "plain")


def _calls(n: int) -> str:
    return f"{count(n)} {'call' if n == 1 else 'calls'}"


def _whole(value: float) -> str:
    return count(round(value))

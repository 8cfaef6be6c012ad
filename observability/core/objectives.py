"""How fast does an error budget burn, how much of it is left, and should somebody be told?

An objective promises a mean. Each call is bad by some share b in [0, 1], and `allowed` is the mean of b that the
promise allows: for "faithfulness above 0.90" b is 1 - score and 0.10 is allowed; for "95 % of first tokens within 1 s"
b is 1 of a slower one, and 0.05 is allowed. The budget of n calls is allowed x n. The burn rate of a time is the mean
of b in it over what is allowed: at 1 the budget is just spent when its days are over, at 14.4 it lasts two of 28.

Source of budgets, burn rates and windows: Beyer et al., The Site Reliability Workbook (2018), chapter 5, "Alerting on
SLOs", approach 6 and table 5-8, for a month of 30 days. Its three alerts (14.4, 6 and 1) have a fourth here, 3 over a
day, by the same reasoning: a tenth of the budget in a day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from observability.core.evidence import (
    COST_PER_CALL,
    ERROR_RATE,
    INTER_TOKEN_LATENCY,
    LATENCY,
    OUTPUT_VALID,
    SMALLEST,
    TTFT,
    log_bin,
)
from observability.core.figures import NO_SCORES, Figures, ScoreSums, Weights, mean_with_interval

Comparison = Literal["above", "below"]

TOKENS_PER_SECOND = "tokens_per_second"
TIMES: Mapping[str, tuple[str, str]] = {  # metric → field of Figures, and its measure
    TTFT: ("ttft", TTFT),
    LATENCY: ("latency", LATENCY),
    INTER_TOKEN_LATENCY: ("inter_token", INTER_TOKEN_LATENCY),
    TOKENS_PER_SECOND: ("inter_token", INTER_TOKEN_LATENCY),
}
OF_EACH_CALL = frozenset({*TIMES, COST_PER_CALL})
"""Of each call it is asked whether it keeps the threshold; of all other metrics the mean is promised."""
OUTPUTS_ALONE = frozenset({COST_PER_CALL, OUTPUT_VALID})
"""What roll-ups do not keep, so that only the days of the series tell of it."""
USUAL_TARGET_BP = 9_500

LEAST_CALLS = 20
"""Fewer measured calls in a long window tell nothing."""
LEAST_BAD = 5
"""As many of them must be bad, or so much badness in all: three calls that fail wake nobody."""
LEAST_LATELY = 5
"""The short window reaches back until it has so many: of 2 % judged calls few fall into five minutes."""
MOST_OF_ALL_BAD = 0.8
"""Of the burn rate of calls that are all bad. A generous budget cannot burn 14.4 times too fast: with 0.10 allowed it
is 10 at most. So that somebody is told all the same, a factor is no more than this part of the most there can be."""
HOLDS_UNTIL = 0.8
"""Of its factor: an alert that is open holds until a burn rate falls under that, so that it does not flap."""


@dataclass(frozen=True, slots=True)
class Promise:
    """metric: a built-in one or the name of scores. threshold: of times in ms. target: the share of the calls that keep
    it; None where the mean is promised."""

    metric: str
    comparison: Comparison
    threshold: float
    target: float | None = None

    @property
    def allowed(self) -> float:
        """The mean badness that the promise allows, over 0 and under 1."""
        if self.target is not None:
            return 1 - self.target
        return self.threshold if self.comparison == "below" else 1 - self.threshold


class Outputs(NamedTuple):
    """What the figures of some minutes do not tell: cost: bin → calls; checked: outputs; valid: of these."""

    cost: Mapping[int, int]
    checked: int
    valid: int


class Slot(NamedTuple):
    """Badness of the calls of some minutes: how many were measured, the sums of b and of its squares."""

    starts_at: datetime
    ends_at: datetime
    bad: ScoreSums


@dataclass(frozen=True, slots=True)
class Tier:
    """That a budget burns `factor` times too fast over a long window, and still does over a short one."""

    factor: float
    long: timedelta
    short: timedelta
    severity: Literal["critical", "warning"]


TIERS = (
    Tier(14.4, timedelta(hours=1), timedelta(minutes=5), "critical"),
    Tier(6.0, timedelta(hours=6), timedelta(minutes=30), "critical"),
    Tier(3.0, timedelta(days=1), timedelta(hours=2), "warning"),
    Tier(1.0, timedelta(days=3), timedelta(hours=6), "warning"),
)
WINDOWS = tuple(sorted({window for tier in TIERS for window in (tier.long, tier.short)}))


@dataclass(frozen=True, slots=True)
class Rate:
    """The burn rate over a window, and the lower end of its 95 % interval; both None without calls. n: calls that were
    measured."""

    window: timedelta
    n: float
    burn: float | None
    least: float | None


@dataclass(frozen=True, slots=True)
class Burning:
    """Which alert a budget's burning raises, and the rates that say so."""

    tier: Tier
    long: Rate
    short: Rate


@dataclass(frozen=True, slots=True)
class Budget:
    """Of an objective's days. spent: of what the calls so far allow, 0 or more, over 1 when the promise is broken.

    attained: the mean of 1 - b, that is of a score, or the share of calls that were good. Both None without calls.
    """

    n: float
    attained: float | None
    spent: float | None

    @property
    def left(self) -> float | None:
        return None if self.spent is None else max(0.0, 1 - self.spent)


def badness(figures: Figures, promise: Promise) -> ScoreSums:
    """Sums over the calls that the metric was measured of. Times are known to 1 %: up to that over the threshold a call
    keeps it."""
    if promise.metric in TIMES:
        name, measure = TIMES[promise.metric]
        most_ms = 1000 / promise.threshold if promise.metric == TOKENS_PER_SECOND else promise.threshold
        return _beyond(getattr(figures, name), measure, most_ms)
    if promise.metric == ERROR_RATE:
        return _share(figures.calls, figures.errors.total())
    sums = NO_SCORES
    for (name, _), of_source in figures.scores.items():
        if name == promise.metric:
            sums = sums.plus(of_source)
    return sums if promise.comparison == "below" else _turned(sums)


def badness_of_outputs(outputs: Outputs, promise: Promise) -> ScoreSums:
    """The same of the metrics that only the series tells."""
    if promise.metric == COST_PER_CALL:
        return _beyond(outputs.cost, COST_PER_CALL, promise.threshold)
    return _share(outputs.checked, outputs.checked - outputs.valid)


def rate_of(history: Sequence[Slot], allowed: float, at: datetime, window: timedelta, *, least_n: float = 0) -> Rate:
    """The burn rate of the last minutes before `at`. history: in order; a slot in which the window begins counts whole.

    least_n: the window reaches back further, slot by slot, until it has so many calls.
    """
    sums = NO_SCORES
    for slot in reversed(history):
        if slot.ends_at <= at - window and calls_of(sums) >= least_n:
            break
        sums = sums.plus(slot.bad)
    if not sums.n:
        return Rate(window, 0, None, None)
    mean, low, _ = mean_with_interval(sums)
    return Rate(window, calls_of(sums), mean / allowed, low / allowed)


def burning(history: Sequence[Slot], allowed: float, at: datetime, *, open_: bool = False) -> Burning | None:
    """The most urgent alert that holds; None for none. open_: whether one is open already, which then holds longer.

    A rate over a long window counts with LEAST_CALLS and LEAST_BAD or more, and when the lower end of its 95 % interval
    is over 1: then it is no chance that more is spent than allowed.
    """
    for tier in TIERS:
        factor = factor_of(tier, allowed) * (HOLDS_UNTIL if open_ else 1)
        long = rate_of(history, allowed, at, tier.long)
        if long.n < LEAST_CALLS or not _over(long, factor) or not (open_ or _is_no_chance(long, allowed)):
            continue
        within = [slot for slot in history if slot.ends_at > at - tier.long]
        short = rate_of(within, allowed, at, tier.short, least_n=LEAST_LATELY)
        if _over(short, factor):
            return Burning(tier, long, short)
    return None


def factor_of(tier: Tier, allowed: float) -> float:
    """The burn rate from which the tier tells, of a budget that may be too generous ever to burn by its own."""
    return min(tier.factor, max(1.0, MOST_OF_ALL_BAD / allowed))


def budget_of(bad: ScoreSums, allowed: float) -> Budget:
    """bad: over all of the objective's days."""
    if not bad.n:
        return Budget(0, None, None)
    mean, _, _ = mean_with_interval(bad)
    return Budget(calls_of(bad), 1 - mean, mean / allowed)


def present_rate(rates: Sequence[Rate]) -> Rate | None:
    """Of these windows, the shortest first, the one that has enough calls to go by; None for none."""
    return next((rate for rate in rates if rate.n >= LEAST_CALLS), None)


@dataclass(frozen=True, slots=True)
class ObjectiveStanding:
    """How an objective does. rates: of WINDOWS. gone_at: when the budget is gone at the present rate; None for never,
    or when nothing tells. covered: the part of the days from which there are calls."""

    budget: Budget
    rates: tuple[Rate, ...]
    burning: Burning | None
    gone_at: datetime | None
    covered: timedelta
    days: timedelta

    def gone_after(self, burn: float) -> timedelta | None:
        """When the budget is gone at another rate than the present one."""
        if self.budget.spent is None:
            return None
        return gone_after(self.budget.spent, burn, covered=self.covered, days=self.days)


def standing(
    *, history: Sequence[Slot], bad: ScoreSums, allowed: float, at: datetime, covered: timedelta, days: timedelta
) -> ObjectiveStanding:
    """history: of the last three days, in order. bad: over all the days, of which `covered` have calls."""
    rates = tuple(rate_of(history, allowed, at, window) for window in WINDOWS)
    budget, present = budget_of(bad, allowed), present_rate(rates)
    after = None
    if budget.spent is not None and (present or budget.spent >= 1):
        after = gone_after(budget.spent, (present and present.burn) or 0.0, covered=covered, days=days)
    gone_at = None if after is None else at + after
    return ObjectiveStanding(budget, rates, burning(history, allowed, at), gone_at, covered, days)


def gone_after(spent: float, burn: float, *, covered: timedelta, days: timedelta) -> timedelta | None:
    """When a budget is gone if it goes on burning at this rate and the traffic stays as it is; None for never.

    covered: the part of the days from which there are calls. While that grows, so does the budget of its calls: with
    E covered, E spent + burn t = E + t. Afterwards the budget is that of all the days D, and D = E spent + burn t; what
    falls out of the days meanwhile is not given back, so that it is gone then at the earliest.
    """
    if spent >= 1:
        return timedelta(0)
    if burn <= 1:
        return None
    growing = covered * (1 - spent) / (burn - 1)
    return growing if growing <= days - covered else (days - covered * spent) / burn


def calls_of(sums: ScoreSums) -> float:
    return sums.effective_n


def _beyond(bins: Mapping[int, int], measure: str, most: float) -> ScoreSums:
    last = log_bin(most, SMALLEST[measure])
    beyond = sum(n for bin_, n in bins.items() if bin_ > last)
    return _share(sum(bins.values()), beyond)


def _share(calls: int, bad: int) -> ScoreSums:
    return ScoreSums(calls, bad, bad)


def _turned(sums: ScoreSums) -> ScoreSums:
    """The sums of 1 - x, from those of x."""
    w = sums.weights
    turned = w and Weights(w.w, w.w - w.wx, w.w - 2 * w.wx + w.wxx, w.ww, w.ww - w.wwx, w.ww - 2 * w.wwx + w.wwxx)
    return ScoreSums(sums.n, sums.n - sums.total, sums.n - 2 * sums.total + sums.squares, turned)


def _is_no_chance(rate: Rate, allowed: float) -> bool:
    if rate.burn is None or rate.least is None:
        return False
    return rate.least > 1 and rate.n * rate.burn * allowed >= LEAST_BAD


def _over(rate: Rate, factor: float) -> bool:
    return rate.burn is not None and rate.burn >= factor

"""Has a metric left its rolling seven days? The threshold, the evidence that it is passed, and since when.

Every metric is oriented so that more is worse and 0 the least: errors, seconds and dollars as they are, of scores and
valid outputs what is lost, 1 - value. Then three sums of any set of calls say all that is needed: how many, their
total, the total of their squares.

A baseline is no concurrent control (statistics.md, M11): days differ by themselves, and nothing can tell a worse day
from a worse prompt. So the threshold leaves room for as much as days have differed, and evidence only answers whether
the level is really beyond it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from math import exp, inf, log, log1p, sqrt

from observability.core.evidence import BUILT_IN_METRICS, COST_PER_CALL, ERROR_RATE, LATENCY, OUTPUT_VALID, TTFT
from observability.core.figures import NO_SCORES, ScoreSums, mean_with_interval
from observability.core.times import BUCKET

Sums = ScoreSums

WATCHED = (ERROR_RATE, LATENCY, TTFT, COST_PER_CALL, OUTPUT_VALID)
"""What is watched of calls, beside every name of scores."""
UNBOUNDED = frozenset({LATENCY, TTFT, COST_PER_CALL})
LOWER_IS_BETTER = frozenset({"thumbs_down", "hallucination", "toxicity", "bias", "refusal", "pii_leak"})
"""Names of scores of which more is worse; of all others more is better."""

DAYS = 7
LEAST_DAYS = 3
LEAST_PER_DAY = 20  # observations; a day with fewer says nothing about how days differ
LEAST_NOW = 20  # observations since the change
LEAST_RATIO = 1.2
FLOOR = 0.005  # of rates and of what scores lose: what is less worse than that interests nobody
# Quantiles found by simulation (benchmarks/baselines): of all days less than 1 % are beyond, at a log-sd from day
# to day of 0.2, by the number of days that the standard deviation comes from.
QUANTILE = {3: 4.4, 4: 4.1, 5: 3.7, 6: 3.45, 7: 3.3}
USUAL_SD, USUAL_DAYS = 0.12, 1  # what is believed of how days differ before any is seen, and what weight that has

QUARTERS = 4  # of a day: latencies and costs follow the hour
QUARTER = timedelta(hours=6)

BETS = tuple(0.97 * 2 ** (-j / 2) for j in range(9))  # in units of 1 / threshold
RATIOS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
LOG_ENOUGH = log(100)
"""Evidence of a change: where there is none, at most once in 100 steps of five minutes with data."""

LOG_ENOUGH_BEYOND = log(1000)
"""Evidence that is enough by itself: of a level that is beyond the threshold."""
LEAST_ERRORS = 1.3  # standard errors between the mean and the threshold: fewer observations say too little
Z_ONE_SIDED = 2.33  # more than one look would need: the stretch since the change is the worst of many
Z_95 = 1.96
WIDER = 1.314  # an interval of 99 % than one of 95 %: the stretch that ends an alert is the best of many
ROUNDING = 1e-6  # more than sums differ by that are added up in another order
SURE = 40.0  # from there on log(1 + exp(s)) is s, to the last digit

CALM, LONGEST_CALM = 3 * BUCKET, timedelta(hours=16)
"""An open alert ends by what came within such a time."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a metric was, oriented. mean, sd: of the days' means, the latter without what is due
    to few observations. factors: by quarter of the day (UTC), from 1 up: how
    much more than over a day is usual then."""

    days: int
    mean: float
    sd: float
    threshold: float
    factors: tuple[float, ...]

    @property
    def can_be_left(self) -> bool:
        """Not where nearly all is wrong already: errors of 100 % cannot become more."""
        return self.threshold > self.mean

    def threshold_at(self, quarter: int) -> float:
        return self.threshold * self.factors[quarter]


@dataclass(frozen=True, slots=True)
class Step:
    """Five minutes. quarter: of the day."""

    quarter: int
    sums: Sums


@dataclass(frozen=True, slots=True)
class Change:
    """log_e: evidence that the level is worse than the baseline. first: the step with which that began, as the best of
    the alternatives has it. since: sums from there on."""

    log_e: float
    first: int
    since: Sums


def loss(metric: str, sums: Sums) -> Sums:
    """Oriented so that more is worse."""
    if metric in UNBOUNDED or metric == ERROR_RATE or metric in LOWER_IS_BETTER:
        return sums
    n, total, squares, _ = sums
    return Sums(n, max(0.0, n - total), max(0.0, n - 2 * total + squares))


def as_told(metric: str, level: float) -> float:
    """An oriented level as people know the metric."""
    is_loss = metric == OUTPUT_VALID or (metric not in BUILT_IN_METRICS and metric not in LOWER_IS_BETTER)
    return 1 - level if is_loss else level


def baseline(metric: str, days: Sequence[Mapping[int, Sums]]) -> Baseline | None:
    """Of days, each by its quarters; None where fewer than LEAST_DAYS have LEAST_PER_DAY observations."""
    counted = [(day, together(day.values())) for day in days]
    enough = [(day, sums) for day, sums in counted if sums.n >= LEAST_PER_DAY]
    if len(enough) < LEAST_DAYS:
        return None
    means = [sums.total / sums.n for _, sums in enough[-DAYS:]]
    d, mean = len(means), sum(means) / len(means)
    if mean <= 0 and metric in UNBOUNDED:
        return None
    noise = sum(_variance(sums) / sums.n for _, sums in enough[-DAYS:]) / d
    sd = sqrt(max(0.0, sum((m - mean) ** 2 for m in means) / (d - 1) - noise))
    threshold = mean * ratio(d, sd / mean if mean > 0 else 0.0)
    if metric not in UNBOUNDED:
        threshold = min(0.999, max(threshold, mean + FLOOR))
    return Baseline(d, mean, sd, threshold, _factors([day for day, _ in enough[-DAYS:]], mean))


def ratio(days: int, sd: float) -> float:
    """How much more than its mean a metric may be on one more day. sd: of its days' means, in units of the mean.

    max(1.2, exp(q sd' sqrt(1 + 1/d))): the prediction of one more of d days, log-normal, with a standard deviation that
    is drawn to USUAL_SD as by a scaled inverse chi-squared prior, since seven days alone tell it within a factor of two
    only. At least 1 + 2 sd sqrt(1 + 1/7) of statistics.md, M11, whose 1.1 % of false alarms hold with little traffic.
    """
    together = (days - 1) * sd**2 + USUAL_DAYS * USUAL_SD**2
    pooled = sqrt(together / (days - 1 + USUAL_DAYS))
    return max(LEAST_RATIO, exp(min(QUANTILE[days] * pooled * sqrt(1 + 1 / days), 20.0)))


class Detector:
    """Evidence, step by step, that a metric's level is worse from some step on until now.

    For each alternative the Shiryaev-Roberts e-detector, S = (S + 1) e per step, and their mean: a process whose
    expectation at a level c or under it is at most the number of steps, so that it comes to 100 once in 100 of them at
    the most, however long the time before was healthy. e is the likelihood ratio of statistics.md (SLO) for rates,
    valid for all that lies between 0 and 1; and for anything from 0 up exp(b y - (-ln(1 - b) - b) y^2) with
    y = x/c - 1, which needs no upper bound of x.
    Source: Shin, Ramdas & Rinaldo 2023, E-detectors; Fan, Grama & Liu 2015, Exponential inequalities for martingales.
    """

    def __init__(self, metric: str, base: Baseline) -> None:
        self._metric, self._base = metric, base
        least = 0.0 if metric in UNBOUNDED else FLOOR
        self._over_mean = _Process(metric, [max(least, base.mean) * factor for factor in base.factors])
        self._over_threshold = _Process(metric, [base.threshold_at(quarter) for quarter in range(QUARTERS)])
        self._steps: list[Step] = []

    def add(self, step: Step) -> None:
        self._steps.append(step)
        self._over_mean.add(step)
        self._over_threshold.add(step)

    @property
    def fires(self) -> bool:
        """Whether the level is beyond the threshold: much at once, or less for as long as it takes to be sure."""
        beyond = self._over_threshold.log_e >= LOG_ENOUGH_BEYOND
        if not self._base.can_be_left or not (beyond or self._over_mean.log_e >= LOG_ENOUGH):
            return False
        change = self.change
        if change.since.n < LEAST_NOW:
            return False
        if beyond:
            return True
        threshold = max(map(self._base.threshold_at, {step.quarter for step in self._steps[change.first :]}))
        mean, error = change.since.total / change.since.n, sqrt(_variance(change.since) / change.since.n)
        return error <= (threshold - self._base.mean) / LEAST_ERRORS and mean - Z_ONE_SIDED * error > threshold

    @property
    def change(self) -> Change:
        first = self._over_mean.first
        return Change(self._over_mean.log_e, first, together(step.sums for step in self._steps[first:]))


def could_fire(metric: str, base: Baseline, steps: Sequence[Step]) -> bool:
    """Whether a Detector may fire after these steps: False is sure, and costs a small part of asking the Detector.

    It fires only if some stretch, from one of the steps until now, is beyond the threshold by its standard errors, or
    if evidence against the threshold is enough by itself. Each is asked of all stretches, by sums that grow backwards.
    """
    return base.can_be_left and (
        _some_stretch_is_beyond(base, steps) or most_evidence(metric, base, steps) >= LOG_ENOUGH_BEYOND - ROUNDING
    )


def _some_stretch_is_beyond(base: Baseline, steps: Sequence[Step]) -> bool:
    n, total, squares, threshold = 0, 0.0, 0.0, 0.0
    levels = [base.threshold_at(quarter) for quarter in range(QUARTERS)]
    for step in reversed(steps):
        n, total, squares = n + step.sums.n, total + step.sums.total, squares + step.sums.squares
        threshold = max(threshold, levels[step.quarter] * (1 - ROUNDING))
        if n < LEAST_NOW or total <= n * threshold:
            continue
        mean = total / n
        if mean - Z_ONE_SIDED * sqrt(max(0.0, squares / n - mean**2) / n) > threshold:
            return True
    return False


def most_evidence(metric: str, base: Baseline, steps: Sequence[Step]) -> float:
    """An upper bound of the log evidence against the threshold, c; inf where one stretch alone could be enough to fire.

    The evidence is a mean over alternatives of sums over stretches of exp(s), s being the log evidence of a stretch, so
    at most the sum of exp(sup s). Over all bets b in [0, 1) the supremum of b Y + (ln(1 - b) + b) Y2, where Y and Y2
    are the sums of y and y^2, is Y - Y2 ln(1 + Y / Y2), and 0 for Y <= 0. Over all likelihood ratios of p in
    [c, (1 + c) / 2] to c it is that of the mean, or of the end next to it; since c is another in each quarter of the
    day, it is taken of each quarter's part of the stretch.
    """
    levels = [base.threshold_at(quarter) for quarter in range(QUARTERS)]
    y, y2, evidence = 0.0, 0.0, 0.0
    of_quarters, quarter, n_of_quarter, total_of_quarter = 0.0, -1, 0, 0.0
    for step in reversed(steps):
        n, total, squares, _ = step.sums
        c = levels[step.quarter]
        y += total / c - n
        y2 += max(0.0, squares / c**2 - 2 * total / c + n)
        most = max(0.0, y - y2 * log1p(y / y2)) if y > 0 < y2 else max(0.0, y)
        if metric not in UNBOUNDED:
            if step.quarter != quarter:
                of_quarters += _most_of_rates(levels[quarter], n_of_quarter, total_of_quarter)
                quarter, n_of_quarter, total_of_quarter = step.quarter, 0, 0.0
            n_of_quarter, total_of_quarter = n_of_quarter + n, total_of_quarter + total
            most = max(most, of_quarters + _most_of_rates(c, n_of_quarter, total_of_quarter))
        if most >= LOG_ENOUGH_BEYOND:
            return inf
        evidence += exp(most)
    return log(evidence) if evidence else -inf


def _most_of_rates(c: float, n: int, total: float) -> float:
    p = min(total / n, (1 + c) / 2) if n else 0.0
    return total * log(p / c) + (n - total) * log((1 - p) / (1 - c)) if c < p < 1 else 0.0


class _Process:
    """The e-detector of levels c, by quarter of the day."""

    def __init__(self, metric: str, levels: Sequence[float]) -> None:
        self._alternatives = [_Alternatives(metric, level) for level in levels]
        self._weights = self._alternatives[0].weights
        self._logs = [-inf] * len(self._weights)
        self._increments: list[list[float]] = []

    def add(self, step: Step) -> None:
        found = self._alternatives[step.quarter].increments(step.sums)
        self._increments.append(found)
        if step.sums.n:
            self._logs = [(s if s > SURE else log1p(exp(s))) + more for s, more in zip(self._logs, found, strict=True)]

    @property
    def log_e(self) -> float:
        return _log_sum(w + s for w, s in zip(self._weights, self._logs, strict=True))

    @property
    def first(self) -> int:
        """The step from which on the increments of the best alternative sum to most."""
        best = max(range(len(self._weights)), key=lambda k: self._weights[k] + self._logs[k])
        before = list(accumulate((found[best] for found in self._increments), initial=0.0))[:-1]
        return len(before) - 1 - before[::-1].index(min(before))


def mean_and_ends(metric: str, sums: Sums) -> tuple[float, float, float]:
    """The mean of an oriented metric and the ends of its 95 % interval. sums.n: at least 1."""
    if metric not in UNBOUNDED:
        return mean_with_interval(sums)
    mean, half = sums.total / sums.n, Z_95 * sqrt(_variance(sums) / sums.n)
    return mean, mean - half, mean + half


def is_back(
    metric: str, base: Baseline, recent: Sequence[tuple[datetime, Step]], since: datetime, *, calm: timedelta = CALM
) -> bool:
    """Whether some stretch up to now, of `calm` at least and of nothing before `since`, is surely at the old level: as
    short as traffic allows, so that an alert of much traffic ends within minutes. recent: in order, each with its
    begin."""
    if not recent:
        return False
    ends, sums, factor = recent[-1][0] + BUCKET, NO_SCORES, inf
    for begins, step in reversed(recent):
        if begins < since or ends - begins > max(LONGEST_CALM, calm):
            break
        sums, factor = sums.plus(step.sums), min(factor, base.factors[step.quarter])
        if ends - begins >= calm and has_recovered(metric, base, factor, sums):
            return True
    return False


def has_recovered(metric: str, base: Baseline, factor: float, recent: Sums) -> bool:
    """Whether the level is surely back: its mean nearer to the baseline than to the threshold, and the upper end of its
    99 % interval under the threshold. factor: how much more than over a day is usual."""
    if recent.n < LEAST_NOW:
        return False
    threshold = base.threshold * factor
    if recent.total / recent.n > (base.mean * factor + threshold) / 2:
        return False
    mean, _, upper = mean_and_ends(metric, recent)
    return mean + WIDER * (upper - mean) <= threshold


def together(many: Iterable[Sums]) -> Sums:
    """Of unweighted ones, as all are here."""
    ns, totals, squares, _ = zip(NO_SCORES, *many, strict=True)
    return Sums(sum(ns), sum(totals), sum(squares))


def _variance(sums: Sums) -> float:
    return max(0.0, sums.squares / sums.n - (sums.total / sums.n) ** 2)


def _factors(days: Sequence[Mapping[int, Sums]], mean: float) -> tuple[float, ...]:
    """Per quarter what is surely more than over a day: a standard error less than seen."""
    factors = []
    for quarter in range(QUARTERS):
        of_days = [sums.total / sums.n for day in days if (sums := day.get(quarter, NO_SCORES)).n >= LEAST_PER_DAY]
        if len(of_days) < LEAST_DAYS or mean <= 0:
            factors.append(1.0)
            continue
        centre = sum(of_days) / len(of_days)
        error = sqrt(sum((m - centre) ** 2 for m in of_days) / (len(of_days) - 1) / len(of_days))
        factors.append(max(1.0, (centre - error) / mean))
    return tuple(factors)


class _Alternatives:
    """To a threshold c. weights: logs; of rates and scores half for the bets and half for the likelihood ratios."""

    def __init__(self, metric: str, c: float) -> None:
        self._c = c
        self._bets = [(b, -log1p(-b) - b) for b in BETS]
        rates = [] if metric in UNBOUNDED else [min((1 + c) / 2, c * ratio) for ratio in RATIOS]
        # No rate is beyond a level of 1, as that of a quarter of the day can be: a ratio of 1 is evidence of nothing.
        self._rates = [(log(p / c), log((1 - p) / (1 - c))) if c < p < 1 else (0.0, 0.0) for p in rates]
        kinds = 2 if rates else 1
        self.weights = [-log(kinds * len(BETS))] * len(BETS) + [-log(kinds * len(RATIOS))] * len(rates)

    def increments(self, sums: Sums) -> list[float]:
        n, total, squares, _ = sums
        y = total / self._c - n
        y2 = max(0.0, squares / self._c**2 - 2 * total / self._c + n)
        bets = [b * y - psi * y2 for b, psi in self._bets]
        return bets + [total * more + (n - total) * less for more, less in self._rates]


def _log_sum(logs: Iterable[float]) -> float:
    values = list(logs)
    top = max(values)
    return top if top == -inf else top + log(sum(exp(value - top) for value in values))

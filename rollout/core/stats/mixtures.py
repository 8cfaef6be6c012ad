"""How an e-value comes about, for people: its alternatives, what a batch adds to each, and how they are mixed.

Nothing is decided here. The formulae are those of the processes' own modules, in words that need none of the code.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from observability.core.evidence import LOG_STEP, TOP_BIN
from rollout.core.stats.bets import LARGEST_LOSS, Contrast, Values
from rollout.core.stats.complaints import Complaint
from rollout.core.stats.costs import Cost
from rollout.core.stats.evidence import Process
from rollout.core.stats.grid import Grid
from rollout.core.stats.latencies import Latency
from rollout.core.stats.limits import MeanLimit, RateLimit
from rollout.core.stats.rates import Rate
from rollout.core.stats.scores import Score
from rollout.core.stats.values import CAP, CLIP, Capped, ClippedLogs

COUNTS = "n_T, n_C: calls of the batch in canary and control; f_T, f_C: failures among them; f = f_T + f_C"
ODDS = "r: odds ratio of failing, canary : control; Z(r) = sum over j of C(n_T, j) C(n_C, f - j) r^j"
ONE_ARM = "f_T ln(p / c) + (n_T - f_T) ln((1 - p) / (1 - c))"
CENTRE = (
    "w = n_T / (n_T + n_C): the canary's share of the batch's calls; m: the control's mean in the baseline and the "
    "earlier batches",
    "while m is unknown, or one arm of a batch is empty, the batch adds 0",
)


@dataclass(frozen=True, slots=True)
class Mixture:
    """One weighted mean of e-values: e = sum of w e^(L / d), d the design effect.

    asks: of what. symbols: what each point of the grid is. adds: what a batch adds to L of a point. where: what the
    letters stand for.
    """

    asks: str
    grid: Grid
    symbols: tuple[str, ...]
    adds: str
    where: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """mixtures: their e-values in one by `together`: the mean of them, or the least. For one mixture either is it."""

    mixtures: tuple[Mixture, ...]
    together: str

    def split(self, logs: Sequence[float]) -> Iterator[tuple[Mixture, list[float]]]:
        """The logs of each mixture's alternatives, from those of all in the order of the process."""
        rest = list(logs)
        for mixture in self.mixtures:
            size = len(mixture.grid.points)
            yield mixture, rest[:size]
            rest = rest[size:]


def log_e(mixture: Mixture, logs: Sequence[float], *, design_effect: float) -> float:
    """ln e of one mixture."""
    return float(mixture.grid.log_e(np.array(logs) / design_effect))


def of_harm(process: Process) -> Question:
    """How the e-value against "the canary is not worse" is made, or against "the limit is kept"."""
    match process:
        case Rate():
            return Question((_rate_harm(process),), "mean")
        case Complaint():
            return Question((_complaint(process, process.harm, null=0.0),), "mean")
        case Score() | Cost():
            return Question((_bets_of_harm(process.values, process.contrast),), "mean")
        case Latency():
            parts = (
                _bets_of_harm(process.means, process.mean, asks="the mean"),
                _bets_of_harm(process.logs, process.log, asks="the mean logarithm"),
                _rate_harm(process.tail, asks="the tail"),
            )
            return Question(parts, "mean")
        case RateLimit():
            return Question((_rate_limit(process, process.harm),), "mean")
        case MeanLimit():
            return Question((_mean_limit(process, process.harm, sign=process.worse),), "mean")
    raise TypeError(f"expected a process of a metric, got {process!r}")


def of_safety(process: Process) -> Question:
    """How the e-value against "worse by the margin or more" is made, or against "the limit is broken"."""
    match process:
        case Rate():
            return Question((_rate_safe(process),), "least")
        case Complaint():
            return Question((_complaint(process, process.safe, null=process.log_margin),), "least")
        case Score() | Cost():
            return Question((_bets_of_safety(process.values, process.contrast),), "least")
        case Latency():
            parts = (
                _bets_of_safety(process.means, process.mean, asks="the mean"),
                _rate_safe(process.tail, asks="the tail"),
            )
            return Question(parts, "least")
        case RateLimit():
            return Question((_rate_limit(process, process.safe),), "least")
        case MeanLimit():
            return Question((_mean_limit(process, process.safe, sign=-process.worse),), "least")
    raise TypeError(f"expected a process of a metric, got {process!r}")


def _rate_harm(process: Rate, asks: str = "") -> Mixture:
    return Mixture(
        asks,
        process.harm,
        _all("ln r", process.harm),
        "f_T ln r - ln(Z(r) / Z(1))",
        (COUNTS, ODDS, _failure(process.first, process.failure)),
    )


def _rate_safe(process: Rate, asks: str = "") -> Mixture:
    ratio = f"r0 = {math.exp(process.log_margin):.6g}: the margin as an odds ratio"
    compared = "f_T ln(r / r0) - ln(Z(r) / Z(r0))"
    rare = len(process.safe.points) - process.ratios
    floor = f"p: a failure rate under c = {process.floor:g}, the floor that is safe whatever the control's rate is"
    return Mixture(
        asks,
        process.safe,
        ("ln r",) * process.ratios + ("p",) * rare,
        f"{compared}, of an alternative p instead {ONE_ARM}" if rare else compared,
        (COUNTS, ODDS, ratio, *([floor] if rare else []), _failure(process.first, process.failure)),
    )


def _failure(first: int, failure: int) -> str:
    return (
        f"a call fails when its bin is {first} or above" if failure else f"a call fails when its bin is under {first}"
    )


def _complaint(process: Complaint, grid: Grid, *, null: float) -> Mixture:
    shares = ", ".join(f"{share:g}" for share in process.shares)
    return Mixture(
        "",
        grid,
        _all("ln r", grid),
        "f_T ln(r / r0) - f ln((1 - w + w r) / (1 - w + w r0))" if null else "f_T ln r - f ln(1 - w + w r)",
        (
            "f_T: complaints of the batch about the canary; f: about both arms (bins of 500 and above)",
            f"w: the canary's planned share of the units, on the steps in turn {shares}",
            "r: ratio of the complaint rates, canary : control",
            *([f"r0 = {math.exp(null):.6g}: the margin"] if null else []),
        ),
    )


def _bets_of_harm(values: Values, contrast: Contrast, asks: str = "") -> Mixture:
    return Mixture(
        asks,
        contrast.harm,
        _all("kappa", contrast.harm),
        "sum over canary calls of ln(1 + s d / w) + sum over control calls of ln(1 - s d / (1 - w))",
        (
            f"d = {'v - m' if contrast.worse > 0 else 'm - v'}; {_value(values)}",
            *CENTRE,
            f"s: the smaller of kappa w and {LARGEST_LOSS} / (the largest loss that any v from {values.low:g} to "
            f"{values.high:g} can bring at s = 1)",
        ),
    )


def _bets_of_safety(values: Values, contrast: Contrast, asks: str = "") -> Mixture:
    return Mixture(
        asks,
        contrast.safe,
        _all("k", contrast.safe),
        "sum over canary calls of ln(1 + s (d / w + M)) + sum over control calls of ln(1 - s (d / (1 - w) - M))",
        (
            f"d = {'m - v' if contrast.worse > 0 else 'v - m'}; {_value(values)}",
            *CENTRE,
            f"M = {contrast.margin:.6g}: the margin in the unit of v",
            f"s = k {LARGEST_LOSS} / (the largest loss that any v from {values.low:g} to {values.high:g} can bring "
            "at s = 1)",
        ),
    )


def _rate_limit(process: RateLimit, grid: Grid) -> Mixture:
    return Mixture(
        "",
        grid,
        _all("p", grid),
        ONE_ARM,
        (
            f"n_T: canary calls of the batch; f_T: failures among them; {_failure(process.first, process.failure)}",
            f"p: a failure rate; c = {process.limit:g}: the limit",
        ),
    )


def _mean_limit(process: MeanLimit, grid: Grid, *, sign: int) -> Mixture:
    values = process.values
    beyond = sign * process.limit
    ends = sign * values.low - beyond, sign * values.high - beyond
    difference = f"v - {process.limit:g}" if sign > 0 else f"{process.limit:g} - v"
    return Mixture(
        "",
        grid,
        _all("k", grid),
        f"sum over canary calls of ln(1 + k {LARGEST_LOSS / -min(ends):.6g} ({difference}))",
        (_value(values), f"{process.limit:g}: the limit in the unit of v"),
    )


def _value(values: Values) -> str:
    match values:
        case Capped():
            return f"v = {_middle(values.smallest)} / {values.unit:.6g}, at most {CAP:g}"
        case ClippedLogs():
            return (
                f"v = (ln({_middle(values.smallest)}) - {values.centre:.6g}) / {values.width:.6g}, "
                f"between -{CLIP:g} and {CLIP:g}"
            )
        case _:
            return f"v = bin / {TOP_BIN}"


def _middle(smallest: float) -> str:
    return f"{smallest:g} {LOG_STEP:g}^(bin - 1/2)"


def _all(symbol: str, grid: Grid) -> tuple[str, ...]:
    return (symbol,) * len(grid.points)

"""Healthy metrics, metrics that change, and metrics that come back, through the code of production.

It differs from production in two things, both on the side of more alarms: a look back is as far as the begin of the
day before, up to 48 hours instead of 24, and a level that is always healthy has no other reason to be anything else.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from scipy.stats import binomtest

from benchmarks.baselines.traffic import PER_DAY, Kind, Timed, by_quarter, day_of, graded, long_tailed, rates
from observability.core.baselines import DAYS, LONGEST_CALM, Baseline, Detector, Sums, baseline, is_back
from observability.core.times import BUCKET

SEED = 8
BEFORE = DAYS + 2  # days: a baseline is of the seven that ended a day before
CHAIN = 125  # days of a metric that are simulated one after the other
MINUTES = BUCKET.total_seconds() / 60
TWO_HOURS = 120
BAD_FOR = 72  # steps, from the alert until the level is back
LONGEST = LONGEST_CALM // BUCKET

FAITHFULNESS = Kind("faithfulness 0.94, 200 judged an hour", "faithfulness", 0.94, 4800, graded)
UNEVEN = Kind(
    "the same, with a swing of 30 %, at times a quarter judged", "faithfulness", 0.94, 4800, graded, 0.3, 0.25
)
RIGHT = Kind("right or wrong 0.94, 200 judged an hour", "correct", 0.94, 4800, rates)
ERRORS = Kind("error rate 1 %, 20 000 calls a day", "error_rate", 0.01, 20_000, rates)
SWINGING = Kind("the same, with a swing of 30 %", "error_rate", 0.01, 20_000, rates, 0.3)
SELDOM = Kind("error rate 1 %, 500 calls a day", "error_rate", 0.01, 500, rates)
COST = Kind("cost per call, 20 000 calls a day", "cost_per_call", 0.004, 20_000, long_tailed)
SWINGING_COST = Kind("the same, with a swing of 30 %", "latency", 1200.0, 20_000, long_tailed, 0.3)
BUSY = Kind("error rate 1 %, 100 calls a second", "error_rate", 0.01, 8_640_000, rates)
BUSY_JUDGED = Kind("faithfulness 0.94, 2 % of 100 calls a second judged", "faithfulness", 0.94, 172_800, graded)


@dataclass(frozen=True, slots=True)
class Healthy:
    """sd: of the logarithm of the level, from day to day."""

    kind: Kind
    sd: float
    days: int


@dataclass(frozen=True, slots=True)
class Change:
    """times: as bad as usual from the change on, whatever that day was before."""

    name: str
    kind: Kind
    times: float
    sd: float


DROP = 0.13 / 0.06  # of what faithfulness loses, from 0.94 to 0.87
HEALTHY = (
    *(Healthy(kind, 0.2, 750) for kind in (FAITHFULNESS, UNEVEN, ERRORS, SWINGING, SELDOM, COST, SWINGING_COST)),
    *(Healthy(ERRORS, sd, 250) for sd in (0.0, 0.1, 0.3)),
)
CHANGES = (
    *(Change("faithfulness 0.94 to 0.87, 200 judged an hour", FAITHFULNESS, DROP, sd) for sd in (0.05, 0.1, 0.2)),
    Change("the same, with a swing of 30 %, at times a quarter judged", UNEVEN, DROP, 0.1),
    Change("right or wrong, 0.94 to 0.87, 200 judged an hour", RIGHT, DROP, 0.1),
    *(Change("error rate 1 to 2 %, 20 000 calls a day", ERRORS, 2.0, sd) for sd in (0.1, 0.2)),
    Change("error rate 1 to 10 %, 500 calls a day", SELDOM, 10.0, 0.1),
    *(Change("cost per call x 1.5, 20 000 calls a day", COST, 1.5, sd) for sd in (0.05, 0.1)),
)
RETURNS = (
    Change("faithfulness 0.87 to 0.94, 200 judged an hour", FAITHFULNESS, DROP, 0.1),
    Change("the same, 2 % of 100 calls a second judged", BUSY_JUDGED, DROP, 0.1),
    Change("error rate 2 to 1 %, 20 000 calls a day", ERRORS, 2.0, 0.1),
    Change("error rate 2 to 1 %, 100 calls a second", BUSY, 2.0, 0.1),
)


def run(*, quick: bool, processes: int, seed: int) -> Iterator[Mapping[str, Any]]:
    runs = 20 if quick else 200
    rows: list[Mapping[str, Any]] = []
    with get_context("spawn").Pool(processes) as pool:
        for number, healthy in enumerate(HEALTHY):
            chains = 1 if quick else healthy.days // CHAIN
            rows.append(healthy_row(healthy, pool.map(partial(openings, number, seed), range(chains), chunksize=1)))
            yield rows[-1]
        yield together_row(rows)
        for number, change in enumerate(CHANGES):
            yield change_row(change, pool.map(partial(delay, number, seed), range(runs)))
        for number, change in enumerate(RETURNS):
            yield return_row(change, pool.map(partial(comeback, number, seed), range(runs)))


def openings(world: int, seed: int, chain: int) -> list[int]:
    """How many alerts open on each of CHAIN days though nothing has changed."""
    of = HEALTHY[world]
    kind, rng = of.kind, _rng(seed, "healthy", of.kind.name, of.sd, chain)
    seen: list[dict[int, Sums]] = []
    last: list[Timed] = []
    alert, opened = Alert(), []
    for number in range(BEFORE + CHAIN):
        day = day_of(kind, rng, _level_of_day(rng, of.sd), number)
        base = baseline(kind.metric, seen[-DAYS - 1 : -1]) if number >= BEFORE else None
        if base is not None:
            opened.append(_watch(kind, base, last, day, alert))
        seen.append(by_quarter(day))
        last = day
    return opened


@dataclass(slots=True)
class Alert:
    fired: datetime | None = None
    closed: datetime | None = None


def _watch(kind: Kind, base: Baseline, last: Sequence[Timed], day: Sequence[Timed], alert: Alert) -> int:
    """A day's looks, one each five minutes; answers how many alerts opened."""
    detector, opened, recent = Detector(kind.metric, base), 0, list(last)
    for begins, step in last:
        if alert.closed is None or begins >= alert.closed:
            detector.add(step)
    for begins, step in day:
        recent.append((begins, step))
        detector.add(step)
        if alert.fired is None and detector.fires:
            alert.fired, opened = begins + BUCKET, opened + 1
        elif alert.fired is not None and is_back(kind.metric, base, recent[-LONGEST:], alert.fired):
            alert.fired, alert.closed = None, begins + BUCKET
            detector = Detector(kind.metric, base)
    return opened


def delay(world: int, seed: int, number: int) -> float | None:
    """Minutes from a change, at some time of a day like the others, until it is found; None: not within a day."""
    of = CHANGES[world]
    rng = _rng(seed, "change", of.name, of.sd, number)
    base, first = _usual(of, rng)
    detector = Detector(of.kind.metric, base)
    for _, step in day_of(of.kind, rng, _level_of_day(rng, of.sd), DAYS + 1, first):
        detector.add(step)
    for place, (_, step) in enumerate(day_of(of.kind, rng, np.full(PER_DAY, of.times), DAYS + 2, first)):
        detector.add(step)
        if detector.fires:
            return MINUTES * (place + 1)
    return None


def comeback(world: int, seed: int, number: int) -> float | None:
    """Minutes from when the level is that of a day like the others until the alert ends; negative: it ended before."""
    of = RETURNS[world]
    rng = _rng(seed, "return", of.name, of.sd, number)
    base, first = _usual(of, rng)
    bad = day_of(of.kind, rng, np.full(PER_DAY, of.times), DAYS + 1, first)[-BAD_FOR:]
    steps = [*bad, *day_of(of.kind, rng, _level_of_day(rng, of.sd), DAYS + 2, first)]
    for place in range(len(steps)):
        if is_back(of.kind.metric, base, steps[max(0, place + 1 - LONGEST) : place + 1], steps[0][0]):
            return MINUTES * (place + 1 - BAD_FOR)
    return None


def _usual(of: Change, rng: np.random.Generator) -> tuple[Baseline, int]:
    """A baseline, and a time of the day."""
    days = [by_quarter(day_of(of.kind, rng, _level_of_day(rng, of.sd), number)) for number in range(DAYS)]
    base = baseline(of.kind.metric, days)
    assert base is not None
    return base, int(rng.integers(0, PER_DAY))


def _level_of_day(rng: np.random.Generator, sd: float) -> Any:
    return np.full(PER_DAY, np.exp(sd * rng.standard_normal()))


def _rng(seed: int, *of: object) -> np.random.Generator:
    return np.random.default_rng([seed, *(zlib.crc32(repr(part).encode()) for part in of)])


def healthy_row(of: Healthy, chains: Sequence[Sequence[int]]) -> Mapping[str, Any]:
    days = [opened for chain in chains for opened in chain]
    bad = sum(opened > 0 for opened in days)
    return {"about": "healthy", "name": of.kind.name, "sd": of.sd, "openings": sum(days)} | share(bad, len(days))


def together_row(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """All that differ from day to day by 0.2."""
    of = [row for row in rows if row["about"] == "healthy" and row["sd"] == 0.2]
    bad, days, openings_ = (sum(row[name] for row in of) for name in ("days_with_an_alert", "days", "openings"))
    return {"about": "together", "name": "together", "sd": 0.2, "openings": openings_} | share(bad, days)


def share(bad: int, days: int) -> dict[str, Any]:
    """With its interval of 95 %, Clopper and Pearson's."""
    interval = binomtest(bad, days).proportion_ci()
    return {
        "days": days,
        "days_with_an_alert": bad,
        "share": round(bad / days, 5),
        "low": round(float(interval.low), 5),
        "high": round(float(interval.high), 5),
    }


def change_row(of: Change, delays: Sequence[float | None]) -> Mapping[str, Any]:
    in_time = sum(found is not None and found <= TWO_HOURS for found in delays)
    return {"about": "change", "name": of.name, "sd": of.sd, "in_two_hours": in_time} | _quantiles(delays)


def return_row(of: Change, minutes: Sequence[float | None]) -> Mapping[str, Any]:
    early = sum(found is not None and found <= 0 for found in minutes)
    late = [found for found in minutes if found is None or found > 0]
    return {"about": "return", "name": of.name, "sd": of.sd, "too_early": early} | _quantiles(late)


def _quantiles(minutes: Sequence[float | None]) -> dict[str, Any]:
    """Those that came within a day, and when."""
    found = sorted(one for one in minutes if one is not None)
    of = {f"p{q}": float(np.quantile(found, q / 100)) if found else None for q in (50, 90, 99, 100)}
    return {"runs": len(minutes), "in_a_day": len(found), "minutes": of}

"""How do the metrics of a prompt under a label do, beside their rolling seven days?

A baseline is of the seven days (UTC) that ended a day ago, so that the last 24 hours, which are compared with it, are
not in it. With fewer than three such days it is still learning, and nothing is said.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet, Sum

from observability.core import baselines as core
from observability.core.baselines import (
    DAYS,
    LEAST_NOW,
    QUARTERS,
    Baseline,
    Change,
    Detector,
    Step,
    Sums,
    could_fire,
    loss,
    together,
)
from observability.core.times import bucket_of, midnight
from observability.models import Alert, AlertKind, MetricBucket
from observability.selectors.series import BUCKETS_PER_QUARTER, BucketNumber, block_of, start_of
from registry.reach import Reach

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
LEARNING, STEADY, FIRING = "learning", "steady", "firing"

Pair = tuple[str, str]  # a prompt's name and a label, empty for calls that name none


@dataclass(frozen=True, slots=True)
class Watched:
    """A metric beside its baseline. mean, sd, threshold, now are as people know it. now: of the last hour, or of what
    is needed for LEAST_NOW observations, n of them; None without any in a day. fires: it is found beyond the threshold
    now. change, since: of what fires or has an alert open, since being when it began; not looked for of anything else.
    recovered: what came since an open alert opened is surely back."""

    metric: str
    state: str
    base: Baseline | None
    now: float | None
    n: int
    fires: bool = False
    change: Change | None = None
    since: datetime | None = None
    recovered: bool = False

    @property
    def mean(self) -> float | None:
        return None if self.base is None else core.as_told(self.metric, self.base.mean)

    @property
    def threshold(self) -> float | None:
        return None if self.base is None else core.as_told(self.metric, self.base.threshold)


def cause_of(kind: AlertKind, pair: Pair, metric: str) -> str:
    return f"{kind}:{pair[0]}:{pair[1]}:{metric}"


def pairs(since: datetime) -> list[Pair]:
    """The prompts and labels of which there are calls since then, in order."""
    rows = MetricBucket.objects.filter(starts_at__gte=since).order_by()
    return sorted(rows.values_list("prompt_name", "label").distinct())


def pairs_in_reach(prompt: str, label: str | None, since: datetime, reach: Reach) -> list[Pair]:
    """The same of one prompt, and of one label or of all, as far as a key reaches."""
    rows = MetricBucket.objects.filter(reach.rows(prompt="prompt_name", label="label"), prompt_name=prompt)
    if label is not None:
        rows = rows.filter(label=label)
    return sorted(rows.filter(starts_at__gte=since).order_by().values_list("prompt_name", "label").distinct())


def watched(pair: Pair, at: datetime) -> list[Watched]:
    """Every metric that was observed in the last ten days, by name."""
    of_days, recent = _days(pair, at), _recent(pair, at)
    open_since, closed_at = _alerts(pair, at)
    return [
        _watched(
            metric, of_days.get(metric, {}), recent.get(metric, []), at, open_since.get(metric), closed_at.get(metric)
        )
        for metric in sorted(of_days.keys() | recent.keys())
    ]


def baselines(pair: Pair, at: datetime) -> dict[str, tuple[float, float]]:
    """(mean, threshold) as people know the metrics, of those that are not learning any more: what `watched` tells of
    them, without looking at the last day."""
    found = {metric: core.baseline(metric, list(_by_day(blocks, at))) for metric, blocks in _days(pair, at).items()}
    return {
        metric: (core.as_told(metric, base.mean), core.as_told(metric, base.threshold))
        for metric, base in found.items()
        if base is not None
    }


Timed = tuple[datetime, Step]


def _watched(
    metric: str,
    of_days: dict[int, Sums],
    recent: list[Timed],
    at: datetime,
    firing_since: datetime | None,
    closed_at: datetime | None,
) -> Watched:
    base = core.baseline(metric, list(_by_day(of_days, at)))
    last = _newest(recent, at)
    now_ = core.as_told(metric, last.total / last.n) if last.n else None
    if base is None:
        return Watched(metric, LEARNING, None, now_, last.n)
    timed = recent if closed_at is None else [(at_, step) for at_, step in recent if at_ >= closed_at]
    steps = [step for _, step in timed]
    if not steps or (firing_since is None and not could_fire(metric, base, steps)):
        fires, change, since = False, None, None
    else:
        detector = Detector(metric, base)
        for step in steps:
            detector.add(step)
        fires, change = detector.fires, detector.change
        since = timed[change.first][0]
    # Nothing was observed for a day: nobody knows, and it may be found again.
    recovered = firing_since is not None and (not recent or _is_back(metric, base, recent, firing_since))
    state = STEADY if firing_since is None else FIRING
    return Watched(metric, state, base, now_, last.n, fires, change, since, recovered)


def _is_back(metric: str, base: Baseline, recent: list[Timed], firing_since: datetime) -> bool:
    """By nothing from before the five minutes in which the alert opened."""
    return core.is_back(metric, base, recent, bucket_of(firing_since), calm=settings.ALERT_RESOLVE_AFTER)


def _newest(recent: list[Timed], at: datetime) -> Sums:
    last = together(step.sums for starts_at, step in recent if starts_at >= at - HOUR)
    for starts_at, step in reversed(recent):
        if last.n >= LEAST_NOW:
            break
        if starts_at < at - HOUR:
            last = last.plus(step.sums)
    return last


def _days(pair: Pair, at: datetime) -> dict[str, dict[int, Sums]]:
    """Metric → block → sums, oriented."""
    until = midnight((at - DAY).date())
    rows = _of(pair, until - DAYS * DAY).filter(starts_at__lt=until).values_list("metric", "block").order_by()
    found: dict[str, dict[int, Sums]] = defaultdict(dict)
    for metric, block, *sums in rows.annotate(Sum("n"), Sum("total"), Sum("squares")):
        found[metric][block] = loss(metric, Sums(*sums))
    return found


def _by_day(blocks: dict[int, Sums], at: datetime) -> Iterator[dict[int, Sums]]:
    first = block_of(midnight((at - DAY).date()) - DAYS * DAY)
    for day in range(DAYS):
        begins = first + day * QUARTERS
        yield {block - begins: blocks[block] for block in range(begins, begins + QUARTERS) if block in blocks}


def _recent(pair: Pair, at: datetime) -> dict[str, list[Timed]]:
    found: dict[str, list[Timed]] = defaultdict(list)
    rows = _of(pair, at - DAY).filter(starts_at__lte=at).order_by("starts_at")
    columns = rows.values_list("metric", BucketNumber("starts_at"), "n", "total", "squares")
    starts = {}  # of the buckets, each of which many metrics have
    for metric, number, n, total, squares in columns:
        if number not in starts:
            starts[number] = start_of(number)
        step = Step(number // BUCKETS_PER_QUARTER % QUARTERS, loss(metric, Sums(n, total, squares)))
        found[metric].append((starts[number], step))
    return found


def _of(pair: Pair, since: datetime) -> QuerySet[MetricBucket]:
    prompt, label = pair
    return MetricBucket.objects.filter(prompt_name=prompt, label=label, starts_at__gte=since)


def _alerts(pair: Pair, at: datetime) -> tuple[dict[str, datetime], dict[str, datetime]]:
    """By metric: since when an alert is open, and when the last one was resolved within a day."""
    prefix = cause_of(AlertKind.BASELINE, pair, "")
    # By the index of prompts: for the beginning of a text neither database has one here.
    alerts = Alert.objects.filter(kind=AlertKind.BASELINE, prompt=pair[0], label=pair[1]).order_by("fired_at")
    opened, closed = {}, {}
    for cause, fired_at, resolved_at in alerts.values_list("cause", "fired_at", "resolved_at"):
        metric = cause.removeprefix(prefix)
        if resolved_at is None:
            opened[metric] = fired_at
        elif resolved_at >= at - DAY:
            closed[metric] = resolved_at
    return opened, closed

"""What may have moved a metric? What began, ended or changed its share when it did, and where its loss lies.

Nothing here decides anything: the alert says what lines up with the estimated time of the change, the likeliest first,
with numbers that a person can check, or that nothing does.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from common.clock import now
from observability.core.baselines import Sums, loss
from observability.core.causes import Shift, shift
from observability.core.figures import NO_SCORES
from observability.core.times import BUCKET
from observability.models import FiguresBucket
from observability.selectors.baselines import Pair
from observability.selectors.series import buckets, judged, metrics_of
from registry.models import Event, PromptVersion

LOOKED_BACK = timedelta(hours=24)  # before the change
AROUND = timedelta(minutes=60)  # of the change: what lines up
MOST = 5
DIMENSIONS = ("version", "model", "provider", "environment")
Counts = dict[datetime, dict[str, int]]


@dataclass(frozen=True, slots=True)
class LikelyCause:
    """kind: one of DIMENSIONS, judge_model, evaluator, or event. at: when it changed. share_before, share_after: of the
    calls, or of the scores. excess: how much of what is worse lies in the new value. text: in words."""

    kind: str
    text: str
    at: datetime | None = None
    value: str | None = None
    before: str | None = None
    share_before: float | None = None
    share_after: float | None = None
    excess: float | None = None

    def as_json(self) -> Mapping[str, Any]:
        return {
            key: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
            for key, value in asdict(self).items()
            if value is not None
        }


NOTHING = LikelyCause("nothing", "nothing lines up: no version, model, provider or environment changed at that time")


def likely_causes(pair: Pair, metric: str, since: datetime) -> list[LikelyCause]:
    """The likeliest first; NOTHING alone where nothing lines up."""
    rows = [row for row in _rows(pair, since) if not row.is_canary]
    ranked = sorted([*_of_traffic(rows, metric, since), *of_judges(pair, metric, since)], key=lambda found: -found[0])
    named = [cause for _, cause in ranked]
    events = list(_events(pair, since))
    return [*named, *events][:MOST] or [NOTHING]


def of_judges(pair: Pair, metric: str, since: datetime) -> Iterator[tuple[float, LikelyCause]]:
    """What changed of the judges that gave the scores of a name: their own model, or the evaluator's version."""
    prompt, label = pair
    rows = [
        row
        for row in judged(prompt, since - LOOKED_BACK, now())
        if (row.label or "") == label and row.name == metric and not row.is_canary
    ]
    for kind in ("judge_model", "evaluator"):
        counts: Counts = defaultdict(lambda: defaultdict(int))
        for row in rows:
            counts[row.starts_at][getattr(row, kind) or "unknown"] += row.n
        yield from _shifted(kind, counts, since, {})


def _rows(pair: Pair, since: datetime) -> list[FiguresBucket]:
    prompt, label = pair
    return [row for row in buckets(prompt, since - LOOKED_BACK, now()) if (row.label or "") == label]


def _of_traffic(rows: Sequence[FiguresBucket], metric: str, since: datetime) -> Iterator[tuple[float, LikelyCause]]:
    numbers = _version_numbers(rows)
    for kind in DIMENSIONS:
        counts: Counts = defaultdict(lambda: defaultdict(int))
        for row in rows:
            counts[row.starts_at][_value(row, kind, numbers)] += row.calls
        excess = _excess(rows, kind, numbers, metric, since)
        yield from _shifted(kind, counts, since, excess)
        if not any(abs((s.at - since) / AROUND) <= 1 for s in shift(counts).values()):
            yield from _concentrated(kind, excess)


def _shifted(
    kind: str, counts: Counts, since: datetime, excess: Mapping[str, float]
) -> Iterator[tuple[float, LikelyCause]]:
    """The values that won a share near the time of the change."""
    shifts = shift(counts)
    for value, found in shifts.items():
        distance = abs(found.at - since) / AROUND
        if found.after <= found.before or distance > 1:
            continue
        lost = min(shifts, key=lambda name: shifts[name].after - shifts[name].before)
        before = lost if shifts[lost].after < shifts[lost].before else None
        rank = (found.after - found.before) * (2 - distance) + excess.get(value, 0.0)
        yield (
            rank,
            LikelyCause(
                kind,
                _words(kind, value, before, found),
                found.at,
                value,
                before,
                round(found.before, 3),
                round(found.after, 3),
                round(excess[value], 2) if value in excess else None,
            ),
        )


def _words(kind: str, value: str, before: str | None, found: Shift) -> str:
    at = f"{found.at:%H:%M}"
    if before and found.before < 0.05 and found.after > 0.95:
        return f"{value} took over from {before} at {at}: lines up"
    if found.before == 0:
        return f"{kind.replace('_', ' ')} {value} began at {at} and has {found.after:.0%}: lines up"
    return f"{kind.replace('_', ' ')} {value} went from {found.before:.0%} to {found.after:.0%} at {at}: lines up"


def _concentrated(kind: str, excess: Mapping[str, float]) -> Iterator[tuple[float, LikelyCause]]:
    """The one value of several in which nearly all lies that is worse."""
    if len(excess) < 2:
        return
    value = max(excess, key=lambda name: excess[name])
    others = sum(part for name, part in excess.items() if name != value)
    if excess[value] >= 0.9 and others <= 0.1:
        text = f"{min(excess[value], 1.0):.0%} of what is worse lies in {kind} {value}"
        yield 0.5, LikelyCause(kind, text, value=value, excess=round(excess[value], 2))


def _excess(
    rows: Iterable[FiguresBucket], kind: str, numbers: Mapping[int, str], metric: str, since: datetime
) -> dict[str, float]:
    """Value → its part of the loss since the change that is more than before."""
    before, after = NO_SCORES, dict[str, Sums]()
    for row in rows:
        for name, sums in metrics_of(row):
            if name == metric and row.starts_at < since:
                before = before.plus(loss(metric, sums))
            elif name == metric:
                value = _value(row, kind, numbers)
                after[value] = after.get(value, NO_SCORES).plus(loss(metric, sums))
    if not before.n:
        return {}
    mean = before.total / before.n
    worse = {value: sums.total - sums.n * mean for value, sums in after.items() if sums.n}
    together = sum(worse.values())
    return {value: part / together for value, part in worse.items()} if together > 0 else {}


def _value(row: FiguresBucket, kind: str, numbers: Mapping[int, str]) -> str:
    if kind == "version":
        return numbers.get(row.version_id or 0) or row.version_text or "unknown"
    return getattr(row, kind) or "unknown"


def _version_numbers(rows: Iterable[FiguresBucket]) -> dict[int, str]:
    ids = {row.version_id for row in rows if row.version_id}
    return {version.pk: f"v{version.number.removeprefix('v')}" for version in PromptVersion.objects.filter(pk__in=ids)}


def _events(pair: Pair, since: datetime) -> Iterator[LikelyCause]:
    """What the registry's log has of the prompt near the time of the change: label moves, versions, rollouts."""
    near = Event.objects.filter(prompt=pair[0], occurred_at__gte=since - AROUND, occurred_at__lte=since + 2 * BUCKET)
    for event in near.exclude(type__startswith="alert.").order_by("-sequence")[:MOST]:
        at = f"{event.occurred_at:%H:%M}"
        yield LikelyCause("event", f"{event.type} at {at}: lines up", event.occurred_at, event.type)

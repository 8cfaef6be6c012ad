"""How do objectives do? The last hours from the series, the days before them from roll-ups.

However many objectives are asked for, that takes the same few statements.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Min, QuerySet

from common.errors import NotFound
from observability.core.figures import NO_SCORES, Figures, ScoreSums
from observability.core.figures import TIMES as FIELDS
from observability.core.objectives import (
    OUTPUTS_ALONE,
    TIMES,
    WINDOWS,
    Burning,
    ObjectiveStanding,
    Outputs,
    Slot,
    badness,
    badness_of_outputs,
    burning,
    standing,
)
from observability.core.times import BUCKET, midnight
from observability.models import FiguresBucket, Objective, VersionHour
from observability.models.rollups import WHOLE_DAY
from observability.selectors.hours import HOUR, hour_of
from observability.selectors.over_time import HOUR as HOUR_STEP
from observability.selectors.over_time import promises_over_time
from observability.selectors.series import buckets_of
from registry.reach import EVERYTHING, Reach

IN_BUCKETS = timedelta(hours=6)  # before that whole hours are exact enough
DAY = timedelta(days=1)

Histories = Mapping[int, Sequence[Slot]]


class Measured(NamedTuple):
    """A prompt's calls of some minutes, hours or a day, under a label."""

    prompt: str
    label: str | None
    starts_at: datetime
    ends_at: datetime
    figures: Figures
    outputs: Outputs


NO_OUTPUTS = Outputs({}, 0, 0)


def objectives(
    *, prompt: str | None = None, label: str | None = None, reach: Reach = EVERYTHING
) -> QuerySet[Objective]:
    """Those of prompts and labels that are seen."""
    found = Objective.objects.filter(reach.rows(prompt="prompt__name", label="label")).select_related("prompt")
    if prompt is not None:
        found = found.filter(prompt__name=prompt)
    return found if label is None else found.filter(label=label)


def find_objective(objective_id: int, reach: Reach = EVERYTHING) -> Objective:
    """Raises NotFound, also for one beyond reach."""
    objective = objectives(reach=reach).filter(pk=objective_id).first()
    if objective is None:
        raise NotFound("unknown_objective", f"There is no objective {objective_id}")
    return objective


def standings(asked: Collection[Objective], at: datetime) -> dict[int, ObjectiveStanding]:
    """How each does now, by its id."""
    if not asked:
        return {}
    recent = histories(asked, at)
    began = _first_hours({objective.prompt.name for objective in asked})
    spent = _of_days(asked, at)
    return {
        objective.pk: standing(
            history=recent[objective.pk],
            bad=spent[objective.pk],
            allowed=objective.promise.allowed,
            at=at,
            covered=at - max(first_day(objective, at), began.get(objective.prompt.name, hour_of(at))),
            days=timedelta(days=objective.days),
        )
        for objective in asked
    }


def burnings(asked: Collection[Objective], at: datetime, *, open_: Collection[int] = ()) -> dict[int, Burning]:
    """Those whose budgets burn too fast. open_: the ids of those of which that is said already."""
    found = {
        objective.pk: burning(history, objective.promise.allowed, at, open_=objective.pk in open_)
        for objective, history in _with(asked, histories(asked, at))
    }
    return {pk: burns for pk, burns in found.items() if burns}


def histories(asked: Collection[Objective], at: datetime) -> Histories:
    """The badness of as many hours as alerts look back to, in order."""
    since = hour_of(at - max(WINDOWS))
    fine_since = hour_of(at - IN_BUCKETS)
    of_outputs = [objective for objective in asked if objective.metric in OUTPUTS_ALONE]
    others = [objective for objective in asked if objective.metric not in OUTPUTS_ALONE]
    found = _slots(others, [*_hours(others, since, fine_since), *_buckets(others, fine_since, at)])
    return found | _slots(of_outputs, _buckets(of_outputs, since, at))


def first_day(objective: Objective, at: datetime) -> datetime:
    """When the days of its budget began: today, in UTC, is the last one."""
    return midnight((at - timedelta(days=objective.days - 1)).date())


def _of_days(asked: Collection[Objective], at: datetime) -> dict[int, ScoreSums]:
    """The badness of all of the objectives' days."""
    of_outputs = [objective for objective in asked if objective.metric in OUTPUTS_ALONE]
    others = [objective for objective in asked if objective.metric not in OUTPUTS_ALONE]
    measured = [*_days(others, at)]
    outputs = [*_buckets(of_outputs, min((first_day(each, at) for each in of_outputs), default=at), at)]
    slots = {**_slots(others, measured), **_slots(of_outputs, outputs)}
    return {
        objective.pk: _sum(slot.bad for slot in history if slot.starts_at >= first_day(objective, at))
        for objective, history in _with(asked, slots)
    }


def _slots(asked: Collection[Objective], measured: Iterable[Measured]) -> dict[int, list[Slot]]:
    """What is measured of each objective's prompt and label, as its badness."""
    by_subject: defaultdict[tuple[str, str | None], list[Measured]] = defaultdict(list)
    for part in measured:
        by_subject[part.prompt, part.label].append(part)
    return {
        objective.pk: [_slot(objective, part) for part in by_subject[objective.prompt.name, objective.label]]
        for objective in asked
    }


def _slot(objective: Objective, part: Measured) -> Slot:
    if objective.metric in OUTPUTS_ALONE:
        return Slot(part.starts_at, part.ends_at, badness_of_outputs(part.outputs, objective.promise))
    return Slot(part.starts_at, part.ends_at, badness(part.figures, objective.promise))


def _hours(asked: Collection[Objective], since: datetime, until: datetime) -> Iterator[Measured]:
    prompts = {objective.prompt.name for objective in asked}
    times = _times(asked)
    parts = (
        promises_over_time(prompts=prompts, since=since, until=until, step=HOUR_STEP, times=times) if prompts else ()
    )
    for start, key, figures in sorted(parts, key=lambda part: part.start):
        yield Measured(key.prompt_name or "", key.label, start, start + HOUR, figures, NO_OUTPUTS)


def _days(asked: Collection[Objective], at: datetime) -> Iterator[Measured]:
    if not asked:
        return
    prompts = {objective.prompt.name for objective in asked}
    since = min(first_day(objective, at) for objective in asked)
    until = hour_of(at) + HOUR
    times = _times(asked)
    for start, key, figures in promises_over_time(
        prompts=prompts, since=since, until=until, step=WHOLE_DAY, times=times
    ):
        yield Measured(key.prompt_name or "", key.label, start, start + DAY, figures, NO_OUTPUTS)


def _times(asked: Collection[Objective]) -> list[str]:
    """The histograms that are promised of: each takes longer to read than all else of a row."""
    promised = {TIMES[objective.metric][0] for objective in asked if objective.metric in TIMES}
    return [name for name in FIELDS if name in promised]


def _buckets(asked: Collection[Objective], since: datetime, until: datetime) -> Iterator[Measured]:
    prompts = {objective.prompt.name for objective in asked}
    labels = {objective.label for objective in asked}
    rows = buckets_of(prompts, since, until).filter(label__in=labels) if prompts else FiguresBucket.objects.none()
    for row in rows.iterator(chunk_size=500):
        outputs = Outputs(dict(zip(*row.cost, strict=True)), row.checked, row.valid)
        yield Measured(row.prompt_name or "", row.label, row.starts_at, row.starts_at + BUCKET, row.figures, outputs)


def _first_hours(prompts: Collection[str]) -> dict[str, datetime]:
    """The first hour with calls of each, of those that are rolled up."""
    rows = VersionHour.objects.filter(prompt_name__in=prompts).order_by()
    return dict(rows.values_list("prompt_name").annotate(Min("hour")))


def _with(asked: Collection[Objective], found: Histories) -> Iterator[tuple[Objective, Sequence[Slot]]]:
    return ((objective, found[objective.pk]) for objective in asked)


def _sum(parts: Iterable[ScoreSums]) -> ScoreSums:
    total = NO_SCORES
    for part in parts:
        total = total.plus(part)
    return total

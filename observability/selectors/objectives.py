"""How do objectives do? The last hours from the series, the days before them from roll-ups, which are read by the hour
where a window begins and in quarters of days elsewhere.

However many objectives are asked for, that takes the same few statements.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
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
    Promise,
    Slot,
    badness,
    badness_of_outputs,
    burning,
    standing,
)
from observability.core.times import BUCKET, midnight
from observability.models import Objective, VersionHour
from observability.models.rollups import WHOLE_DAY
from observability.selectors.hours import HOUR, hour_of
from observability.selectors.over_time import promises_by_bucket, promises_lately, promises_over_time
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


NO_FIGURES, NO_OUTPUTS = Figures(), Outputs({}, 0, 0)


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
    began = _first_hours(_prompts(asked))
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
    begin = [at - window for window in WINDOWS]
    of_outputs = [objective for objective in asked if objective.metric in OUTPUTS_ALONE]
    others = [objective for objective in asked if objective.metric not in OUTPUTS_ALONE]
    found = _slots(others, chain(_quarters(others, since, fine_since, begin), _buckets(others, fine_since, at)))
    return found | _slots(of_outputs, _outputs(of_outputs, since, at))


def first_day(objective: Objective, at: datetime) -> datetime:
    """When the days of its budget began: today, in UTC, is the last one."""
    return midnight((at - timedelta(days=objective.days - 1)).date())


def _of_days(asked: Collection[Objective], at: datetime) -> dict[int, ScoreSums]:
    """The badness of all of the objectives' days."""
    of_outputs = [objective for objective in asked if objective.metric in OUTPUTS_ALONE]
    others = [objective for objective in asked if objective.metric not in OUTPUTS_ALONE]
    outputs = _outputs(of_outputs, min((first_day(each, at) for each in of_outputs), default=at), at)
    slots = {**_slots(others, _days(others, at)), **_slots(of_outputs, outputs)}
    return {
        objective.pk: _sum(slot.bad for slot in history if slot.starts_at >= first_day(objective, at))
        for objective, history in _with(asked, slots)
    }


def _slots(asked: Collection[Objective], measured: Iterable[Measured]) -> dict[int, list[Slot]]:
    """What is measured of each objective's prompt and label, as its badness; of the same time together, in order."""
    by_subject: defaultdict[tuple[str, str | None], list[Objective]] = defaultdict(list)
    for objective in asked:
        by_subject[objective.prompt.name, objective.label].append(objective)
    promises = {objective.pk: objective.promise for objective in asked}
    sums: dict[int, dict[tuple[datetime, datetime], ScoreSums]] = {objective.pk: {} for objective in asked}
    for part in measured:
        for objective in by_subject.get((part.prompt, part.label), ()):
            found, time = sums[objective.pk], (part.starts_at, part.ends_at)
            found[time] = found.get(time, NO_SCORES).plus(_badness(part, promises[objective.pk]))
    return {pk: [Slot(*time, found[time]) for time in sorted(found)] for pk, found in sums.items()}


def _badness(part: Measured, promise: Promise) -> ScoreSums:
    if promise.metric in OUTPUTS_ALONE:
        return badness_of_outputs(part.outputs, promise)
    return badness(part.figures, promise)


def _quarters(
    asked: Collection[Objective], since: datetime, until: datetime, apart: Collection[datetime]
) -> Iterator[Measured]:
    prompts, times = _prompts(asked), _times(asked)
    if prompts:
        parts = promises_lately(prompts=prompts, since=since, until=until, apart=apart, times=times)
        for (starts_at, ends_at), key, figures in parts:
            yield Measured(key.prompt_name or "", key.label, starts_at, ends_at, figures, NO_OUTPUTS)


def _days(asked: Collection[Objective], at: datetime) -> Iterator[Measured]:
    if not asked:
        return
    prompts = _prompts(asked)
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
    prompts, times = _prompts(asked), _times(asked)
    if prompts:
        for start, key, figures in promises_by_bucket(prompts=prompts, since=since, until=until, times=times):
            yield Measured(key.prompt_name or "", key.label, start, start + BUCKET, figures, NO_OUTPUTS)


def _outputs(asked: Collection[Objective], since: datetime, until: datetime) -> Iterator[Measured]:
    if not asked:
        return
    labels = {objective.label for objective in asked}
    rows = buckets_of(_prompts(asked), since, until).filter(label__in=labels)
    columns = rows.values_list("prompt_name", "label", "starts_at", "cost", "checked", "valid")
    for prompt, label, start, cost, checked, valid in columns.iterator(chunk_size=500):
        outputs = Outputs(dict(zip(*cost, strict=True)), checked, valid)
        yield Measured(prompt or "", label, start, start + BUCKET, NO_FIGURES, outputs)


def _prompts(asked: Collection[Objective]) -> set[str]:
    return {objective.prompt.name for objective in asked}


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

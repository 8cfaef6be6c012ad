"""How the versions of prompts did: their figures over a range of hours, by what the reader wants to tell apart."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from observability.core.figures import Figures
from observability.models import VersionHour
from observability.models.rollups import WHOLE_DAY
from observability.selectors.hours import VersionKey, version_figures
from observability.selectors.rolled import Range, hours_between
from registry.models import PromptVersion
from registry.reach import EVERYTHING, Reach

VERSION, LABEL, ENVIRONMENT, FEATURE = "version", "label", "environment", "feature"
GROUPINGS = (VERSION, LABEL, ENVIRONMENT, FEATURE)
HOUR, DAY, TOTAL = "hour", "day", "total"
INTERVALS = (HOUR, DAY, TOTAL)


@dataclass(frozen=True, slots=True)
class Group:
    """What some figures are of. start: of the hour or day, of the range for a total. Of the key only the prompt and
    what was grouped by are told. version: as people write it, or as the client sent it where no such version exists."""

    start: datetime
    key: VersionKey
    version: str | None


def version_metrics(
    *,
    since: datetime,
    until: datetime,
    by: Collection[str],
    interval: str,
    prompt: str | None = None,
    reach: Reach = EVERYTHING,
) -> list[tuple[Group, Figures]]:
    """Figures of LLM calls by interval, prompt and groupings: the newest interval first, in it the most calls first."""
    between = hours_between(since, until)
    sums: dict[tuple[datetime, VersionKey], Figures] = {}
    step = 1 if interval == HOUR else WHOLE_DAY
    for hour, key, figures in version_hours(between, prompt=prompt, reach=reach, step=step):
        at = _start(hour, since, interval), _only(key, by)
        if at in sums:
            sums[at].add(figures)
        else:
            sums[at] = figures
    numbers = version_numbers({key.version_id for _, key in sums if key.version_id})
    found = [
        (Group(start, key, numbers.get(key.version_id or 0, key.version_text)), figures)
        for (start, key), figures in sums.items()
    ]
    return sorted(found, key=_order)


def version_hours(
    between: Range, *, prompt: str | None, reach: Reach, step: int
) -> Iterator[tuple[datetime, VersionKey, Figures]]:
    """The figures of each hour and key from the roll-ups, of each step of so many hours where there are none."""
    stored = VersionHour.objects.filter(between.stored, reach.rows(prompt="prompt_name", label="label"))
    if prompt is not None:
        stored = stored.filter(prompt_name=prompt)
    for row in stored.iterator(chunk_size=500):
        yield row.hour, VersionKey(*(getattr(row, name) for name in VersionKey._fields)), row.figures
    prompts = None if prompt is None else [prompt]
    for stretch in between.live:
        for (start, key), figures in version_figures(stretch, step=step, prompts=prompts).items():
            if reach.sees(key.prompt_name) and reach.may_use(key.label):
                yield start, key, figures


def version_numbers(ids: Collection[int]) -> dict[int, str]:
    """By id: the versions as people write them."""
    named = PromptVersion.objects.filter(pk__in=ids).only("major", "minor", "patch")
    return {version.pk: version.number for version in named}


def _start(hour: datetime, since: datetime, interval: str) -> datetime:
    if interval == TOTAL:
        return since
    return hour.replace(hour=0) if interval == DAY else hour


def _only(key: VersionKey, by: Collection[str]) -> VersionKey:
    """The key without what is not grouped by."""
    return VersionKey(
        key.prompt_name,
        key.version_id if VERSION in by else None,
        key.version_text if VERSION in by else None,
        key.label if LABEL in by else None,
        key.environment if ENVIRONMENT in by else None,
        key.feature if FEATURE in by else None,
    )


def _order(found: tuple[Group, Figures]) -> tuple[float, int, str]:
    group, figures = found
    return -group.start.timestamp(), -figures.calls, repr(group.key)

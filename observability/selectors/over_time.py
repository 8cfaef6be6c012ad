"""How did prompts do over a week or a month? Read in steps of hours, quarters of days or days, for pages.

The same figures as those of selectors.metrics, from fewer and shorter rows: features are not told apart.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, NamedTuple

from observability.core.figures import SUMS, TIMES, Figures, ScoreSums
from observability.models import VersionHour, VersionSpan
from observability.models.rollups import QUARTER, WHOLE_DAY
from observability.selectors.hours import Stretch, VersionKey, version_figures
from observability.selectors.rolled import Range, SpanRange, hours_between, quarters_between, spans_between
from observability.selectors.series import buckets_of

HOUR = 1
KEY = ("prompt_name", "version_id", "version_text", "label", "environment")
SHORT = ("calls", "cost_usd", "priced")  # of SUMS
HISTOGRAMS = ("ttft", "latency")  # of TIMES, whose first ones they are


class Part(NamedTuple):
    """What came of a version in a step, under a label and in an environment. No inter-token latencies."""

    start: datetime
    key: VersionKey
    figures: Figures


def prompt_over_time(*, prompt: str, since: datetime, until: datetime, step: int) -> Iterator[Part]:
    """A prompt's figures. since: the beginning of a day, UTC, unless step is HOUR. step: HOUR, QUARTER or WHOLE_DAY."""
    columns = (*KEY, *SUMS, "errors", "scores", *HISTOGRAMS)
    for start, values, live in _read([prompt], since, until, step, columns):
        yield Part(_floor(start, step), VersionKey._make((*values[: len(KEY)], None)), live or _figures(values, SUMS))


def lately_by_bucket(*, prompt: str, since: datetime, until: datetime) -> Iterator[Part]:
    """The same by the five minutes of the series, which is a minute behind. Only scores of calls chosen by design."""
    columns = (*KEY, *SUMS, "errors", "scores", *HISTOGRAMS)
    for start, *values in buckets_of([prompt], since, until).values_list("starts_at", *columns):
        yield Part(start, VersionKey._make((*values[: len(KEY)], None)), _figures(values, SUMS))


def first_hour(prompt: str) -> datetime | None:
    """The first hour with calls of the prompt, of those that are rolled up."""
    hours = VersionHour.objects.filter(prompt_name=prompt).order_by("hour")
    return hours.values_list("hour", flat=True).first()


def prompts_over_days(*, prompts: Collection[str], since: datetime, until: datetime) -> Iterator[Part]:
    """Calls, errors, costs and scores of prompts, day by day. since: the beginning of a day, UTC."""
    columns = (*KEY, *SHORT, "errors", "scores")
    for start, values, live in _read(prompts, since, until, WHOLE_DAY, columns):
        yield Part(
            _floor(start, WHOLE_DAY), VersionKey._make((*values[: len(KEY)], None)), live or _figures(values, SHORT)
        )


def promises_over_time(
    *, prompts: Collection[str], since: datetime, until: datetime, step: int, times: Sequence[str] = TIMES
) -> Iterator[Part]:
    """What objectives are held against: calls, errors, scores and these times. since: as of prompt_over_time."""
    columns = (*KEY, "calls", "errors", "scores", *times)
    for start, values, live in _read(prompts, since, until, step, columns):
        key = VersionKey._make((*values[: len(KEY)], None))
        yield Part(_floor(start, step), key, live or _figures(values, ("calls",), times))


def promises_lately(
    *, prompts: Collection[str], since: datetime, until: datetime, apart: Collection[datetime], times: Sequence[str]
) -> Iterator[tuple[Stretch, VersionKey, Figures]]:
    """The same by the quarters of days that are over, and by the hour around the moments `apart` and at both ends."""
    columns = (*KEY, "calls", "errors", "scores", *times)
    between = quarters_between(since, until, apart)
    for length, parts in (
        (QUARTER, _spans(prompts, between, columns)),
        (HOUR, _hours(prompts, between, columns, HOUR)),
    ):
        for start, values, live in parts:
            key = VersionKey._make((*values[: len(KEY)], None))
            stretch = Stretch(start, start + timedelta(hours=length))
            yield stretch, key, live or _figures(values, ("calls",), times)


def promises_by_bucket(
    *, prompts: Collection[str], since: datetime, until: datetime, times: Sequence[str]
) -> Iterator[Part]:
    """The same by the five minutes of the series. Only scores of calls chosen by design."""
    columns = (*KEY, "calls", "errors", "scores", *times)
    for start, *values in buckets_of(prompts, since, until).values_list("starts_at", *columns):
        yield Part(start, VersionKey._make((*values[: len(KEY)], None)), _figures(values, ("calls",), times))


Row = tuple[datetime, Sequence[Any], Figures | None]


def _read(
    prompts: Collection[str], since: datetime, until: datetime, step: int, columns: tuple[str, ...]
) -> Iterator[Row]:
    """(start, values of the columns, None) of what is rolled up; (a step's start, key, figures) of what is not."""
    if step == HOUR:
        return _hours(prompts, hours_between(since, until), columns, step)
    between = spans_between(since, until, step)
    return chain(_spans(prompts, between, columns), _hours(prompts, between, columns, step))


def _spans(prompts: Collection[str], between: SpanRange, columns: tuple[str, ...]) -> Iterator[Row]:
    spans = VersionSpan.objects.filter(between.spans, prompt_name__in=prompts)
    for start, *values in spans.values_list("starts_at", *columns):
        yield start, values, None


def _hours(prompts: Collection[str], between: Range | SpanRange, columns: tuple[str, ...], step: int) -> Iterator[Row]:
    hours = VersionHour.objects.filter(between.stored, prompt_name__in=prompts)
    for hour, *values in hours.values_list("hour", *columns):
        yield hour, values, None
    for stretch in between.live:
        found = version_figures(stretch, step=step, prompts=prompts, with_times=any(name in columns for name in TIMES))
        for (start, key), figures in found.items():
            yield start, key[: len(KEY)], figures


def _figures(values: Sequence[Any], sums: Sequence[str], times: Sequence[str] = TIMES) -> Figures:
    errors, scores, *histograms = values[len(KEY) + len(sums) :]
    found = Figures(**dict(zip(sums, values[len(KEY) :], strict=False)))
    found.errors.update(errors)
    for name, (bins, calls) in zip(times, histograms, strict=False):
        getattr(found, name).update(dict(zip(bins, calls, strict=True)))
    for name, by_source in scores.items():
        for source, of_source in by_source.items():
            found.scores[name, source] = ScoreSums.of(of_source)
    return found


def _floor(start: datetime, step: int) -> datetime:
    return start.replace(hour=start.hour // step * step)

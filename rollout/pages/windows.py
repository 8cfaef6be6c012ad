"""The time that a page of figures is about: the last day by the hour, or whole days, UTC, up to the present hour."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from observability.core.times import BUCKET, bucket_of, midnight
from observability.models.rollups import QUARTER, WHOLE_DAY
from observability.selectors.hours import HOUR, hour_of

DAY = timedelta(days=1)
STEPS = {1: 1, 7: QUARTER, 28: WHOLE_DAY}  # days → hours that a point of a line is of: at most 28 points
DAYS = tuple(STEPS)
LATELY = timedelta(hours=3)  # what is drawn in steps of five minutes


@dataclass(frozen=True, slots=True)
class Axis:
    """The time of a chart. pace: of a step."""

    since: datetime
    until: datetime
    pace: timedelta

    @property
    def starts(self) -> list[datetime]:
        """Of every step."""
        return [self.since + number * self.pace for number in range(-((self.since - self.until) // self.pace))]


@dataclass(frozen=True, slots=True)
class Window:
    """since: the beginning of the first day, or 24 hours ago; until: the end of the hour that runs."""

    days: int
    since: datetime
    until: datetime

    @property
    def step(self) -> int:
        return STEPS[self.days]

    @property
    def each_day(self) -> list[date]:
        return [self.since.date() + number * DAY for number in range(self.days)]

    @property
    def axis(self) -> Axis:
        return Axis(self.since, self.until, timedelta(hours=self.step))


def window(days: int, now: datetime) -> Window:
    """Today and the days before it; of one day the last 24 hours."""
    until = hour_of(now) + HOUR
    return Window(days, until - DAY if days == 1 else midnight(now.date() - (days - 1) * DAY), until)


def lately(now: datetime) -> Axis:
    """The last hours by the five minutes, to the end of those that run."""
    until = bucket_of(now) + BUCKET
    return Axis(until - LATELY, until, BUCKET)

"""The time that a page of figures is about: the last day by the hour, or whole days, UTC, up to the present hour."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from observability.core.times import midnight
from observability.models.rollups import QUARTER, WHOLE_DAY
from observability.selectors.hours import HOUR, hour_of

DAY = timedelta(days=1)
STEPS = {1: 1, 7: QUARTER, 28: WHOLE_DAY}  # days → hours that a point of a line is of: at most 28 points
DAYS = tuple(STEPS)


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
    def starts(self) -> list[datetime]:
        """Of every step."""
        pace = timedelta(hours=self.step)
        return [self.since + number * pace for number in range(-((self.since - self.until) // pace))]


def window(days: int, now: datetime) -> Window:
    """Today and the days before it; of one day the last 24 hours."""
    until = hour_of(now) + HOUR
    return Window(days, until - DAY if days == 1 else midnight(now.date() - (days - 1) * DAY), until)

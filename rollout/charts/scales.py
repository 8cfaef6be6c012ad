"""Where a number or a time stands in a picture, and which of them are written beside it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

NICE = (1.0, 2.0, 5.0, 10.0)
MINUTE, HOUR, DAY = 60, 3600, 86_400
# Seconds between the times that are written.
PACES = (
    *(1, 2, 5, 10, 15, 30),
    *(minutes * MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * HOUR for hours in (1, 2, 3, 4, 6, 12)),
    *(days * DAY for days in (1, 2, 4, 7, 14, 30, 60, 90, 180, 365)),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """From numbers between low and high to places between start and end; what is beyond stands at the border."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        if self.high <= self.low:
            return (self.start + self.end) / 2
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class TimeScale:
    """From times to places; a single moment stands at the start."""

    since: datetime
    until: datetime
    start: float
    end: float

    def __call__(self, at: datetime) -> float:
        span = (self.until - self.since).total_seconds()
        if span <= 0:
            return self.start
        share = min(max((at - self.since).total_seconds() / span, 0.0), 1.0)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Place and words of at most so many round times, in UTC: the hour, and the day where one begins."""
        first, last = self.since.timestamp(), self.until.timestamp()
        pace = next((pace for pace in PACES if (last - first) / pace <= most - 1), PACES[-1])
        times = range(math.ceil(first / pace) * pace, math.floor(last) + 1, pace)
        moments = [datetime.fromtimestamp(time, UTC) for time in times] or [self.since]
        return [(self(at), _words_of(at, pace)) for at in moments[:most]]


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most so many round numbers between low and high."""
    if not high > low:
        return [low]
    rough = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    pace = next(nice * power for nice in NICE if nice * power >= rough * (1 - 1e-9))
    return [number * pace for number in range(math.ceil(low / pace - 1e-9), math.floor(high / pace + 1e-9) + 1)]


def known(values: Iterable[float | None]) -> list[float]:
    """Those that are numbers: a gap is None, or not finite."""
    return [value for value in values if is_known(value) and value is not None]


def is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _words_of(at: datetime, pace: int) -> str:
    if at.timestamp() % DAY == 0:
        return f"{at.day} {at:%b}" if pace < 365 * DAY else f"{at:%b %Y}"
    return f"{at:%H:%M:%S}" if pace < MINUTE else f"{at:%H:%M}"

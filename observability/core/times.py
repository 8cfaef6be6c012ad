"""Times as telemetry tells them, in nanoseconds since 1970, and as moments."""

from datetime import UTC, date, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NS_PER_S = 10**9
NS_PER_HOUR = 3_600 * NS_PER_S
BUCKET = timedelta(minutes=5)
"""What the series is counted in."""
NS_PER_BUCKET = 300 * NS_PER_S


def nanoseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1) * 1000


def moment(ns: int) -> datetime:
    """To the microsecond before it."""
    return EPOCH + timedelta(microseconds=ns // 1000)


def midnight(day: date) -> datetime:
    """The beginning of a day, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def bucket_of(at: datetime) -> datetime:
    """The beginning of the five minutes that a moment is in."""
    return at.replace(minute=at.minute // 5 * 5, second=0, microsecond=0)

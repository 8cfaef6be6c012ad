"""When did a share change?"""

from datetime import UTC, datetime, timedelta

from observability.core.causes import Shift, shift

START = datetime(2026, 1, 31, tzinfo=UTC)


def counts(*steps: dict[str, int]) -> dict[datetime, dict[str, int]]:
    return {START + number * timedelta(minutes=5): step for number, step in enumerate(steps)}


def test_shift__one_took_over_from_another__both_with_the_time() -> None:
    found = shift(counts(*[{"a": 10}] * 5, *[{"b": 10}] * 3))

    at = START + timedelta(minutes=25)
    assert found == {"a": Shift(at, 1.0, 0.0), "b": Shift(at, 0.0, 1.0)}


def test_shift__same_share_throughout__none() -> None:
    assert shift(counts(*[{"a": 10, "b": 5}] * 8)) == {}


def test_shift__a_tenth_more__too_little_to_name() -> None:
    assert shift(counts(*[{"a": 50, "b": 50}] * 5, *[{"a": 60, "b": 40}] * 5)) == {}


def test_shift__few_calls_on_one_side__none() -> None:
    assert shift(counts({"a": 9}, {"b": 9})) == {}

"""Numbers and times as the pages show them."""

import math
from datetime import UTC, datetime

import pytest

from rollout import formats

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
GAPS = str.maketrans("\N{NARROW NO-BREAK SPACE}\N{NO-BREAK SPACE}", "  ")


def plain(text: str) -> str:
    return text.translate(GAPS)


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (0.041, "rate", "4.1 %"),
        (0.0023, "rate", "0.23 %"),
        (0.0, "rate", "0 %"),
        (0.00001, "rate", "under 0.01 %"),
        (1.0, "rate", "100.0 %"),
        (0.9364, "score", "0.936"),
        (None, "rate", "\N{EN DASH}"),
        (None, "score", "\N{EN DASH}"),
    ],
)
def test_estimate(value: float | None, kind: str, shown: str) -> None:
    assert plain(formats.estimate(value, kind)) == shown


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (0.023, "rate", "+2.3 points"),
        (-0.0036, "rate", "\N{MINUS SIGN}0.36 points"),
        (-0.005, "score", "\N{MINUS SIGN}0.005"),
        (-0.0000001, "score", "0"),
        (None, "rate", "\N{EN DASH}"),
    ],
)
def test_difference__has_a_sign_and_says_points_for_rates(value: float | None, kind: str, shown: str) -> None:
    assert plain(formats.difference(value, kind)) == shown


def test_interval__undefined__en_dash() -> None:
    assert formats.interval(None, "rate") == formats.DASH
    assert plain(formats.interval((0.009, 0.039), "rate")) == "+0.90 to +3.9 points"


@pytest.mark.parametrize(
    ("limit", "kind", "direction", "shown"),
    [
        ({"ratio": 1.5}, "rate", "lower", "\N{MULTIPLICATION SIGN}1.5"),
        ({"absolute": 0.03}, "score", "higher", "\N{MINUS SIGN}0.030"),
        ({"absolute": 0.02}, "rate", "lower", "+2.0 points"),
        (None, "rate", "lower", "default"),
    ],
)
def test_margin__points_towards_worse(limit: dict[str, float] | None, kind: str, direction: str, shown: str) -> None:
    assert plain(formats.margin(limit, kind, direction)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.001, "under 0.01"), (0.479, "0.47"), (3.19, "3.1"), (19.99, "19.9"), (20, "20.0"), (1289.7, "1 289")],
)
def test_e_value__never_rounded_up(value: float, shown: str) -> None:
    assert plain(formats.e_value(math.log(value))) == shown


def test_e_value__huge__logarithm_instead_of_overflow() -> None:
    assert plain(formats.e_value(5000.0)) == "over 10 000 (ln 5000.0)"


@pytest.mark.parametrize(("alpha", "shown"), [(0.05, "3.0 of 20"), (0.001, "3.0 of 1 000"), (0.03, "3.0 of 33.3")])
def test_of_limit__limit_is_one_over_alpha(alpha: float, shown: str) -> None:
    assert plain(formats.of_limit(math.log(3), -math.log(alpha))) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (72, "1 min 12 s"), (9720, "2 h 42 min"), (3601, "1 h"), (183_661, "2 d 3 h"), (-5, "0 s")],
)
def test_duration__two_largest_units(seconds: float, shown: str) -> None:
    assert plain(formats.duration(seconds)) == shown


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (NOW, "15:09:26"),
        (datetime(2026, 3, 13, 23, 59, 59, tzinfo=UTC), "13 Mar 23:59:59"),
        (datetime(2025, 3, 14, tzinfo=UTC), "14 Mar 2025 00:00:00"),
    ],
)
def test_moment__names_the_day_unless_it_is_today(at: datetime, shown: str) -> None:
    html = formats.moment(at, NOW)

    assert f">{shown}</time>" in html
    assert f'datetime="{at:%Y-%m-%dT%H:%M:%S}Z"' in html
    assert f'title="{at:%Y-%m-%d %H:%M:%S} UTC"' in html


@pytest.mark.parametrize(("bp", "shown"), [(500, "5 %"), (25, "0.25 %"), (9999, "99.99 %"), (0, "0 %")])
def test_weight(bp: int, shown: str) -> None:
    assert plain(formats.weight(bp)) == shown

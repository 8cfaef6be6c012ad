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
    ("value", "unit", "shown"),
    [
        (0.041, "share", "4.1 %"),
        (0.0023, "share", "0.23 %"),
        (0.0, "share", "0 %"),
        (0.00001, "share", "under 0.01 %"),
        (0.99949, "share", "99.9 %"),
        (0.9996, "share", "over 99.9 %"),
        (1.0, "share", "100.0 %"),
        (0.009996, "share", "1.0 %"),
        (0.9364, "score", "0.936"),
        (1289.7, "ms", "1 290 ms"),
        (41.26, "ms", "41.3 ms"),
        (0.004, "ms", "0.00400 ms"),
        (999.7, "ms", "1 000 ms"),
        (9.999, "tokens", "10.0 tokens"),
        (0.01234, "USD", "$0.0123"),
        (0.0000000012, "USD", "$0.000000001"),
        (12.0, "USD", "$12.00"),
        (0.0, "USD", "$0.00"),
        (1_523_400.0, "tokens", "1 523 400 tokens"),
        (None, "share", "\N{EN DASH}"),
        (None, "score", "\N{EN DASH}"),
        (None, "ms", "\N{EN DASH}"),
    ],
)
def test_estimate__in_its_unit_with_as_many_digits_as_mean_something(
    value: float | None, unit: str, shown: str
) -> None:
    assert plain(formats.estimate(value, unit)) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.023, "share", "+2.3 points"),
        (-0.0036, "share", "\N{MINUS SIGN}0.36 points"),
        (-0.005, "score", "\N{MINUS SIGN}0.005"),
        (-0.0000001, "score", "0"),
        (251.3, "ms", "+251 ms"),
        (-0.0012, "USD", "\N{MINUS SIGN}$0.00120"),
        (3.2, "USD", "+$3.20"),
        (0.0, "USD", "$0"),
        (0.009996, "share", "+1.0 points"),
        (None, "share", "\N{EN DASH}"),
    ],
)
def test_difference__has_a_sign_and_says_points_for_shares(value: float | None, unit: str, shown: str) -> None:
    assert plain(formats.difference(value, unit)) == shown


def test_interval__undefined__en_dash() -> None:
    assert formats.interval(None, "share") == formats.DASH
    assert plain(formats.interval((0.009, 0.039), "share")) == "+0.90 to +3.9 points"
    assert plain(formats.interval((-4.2, 1310.0), "ms")) == "\N{MINUS SIGN}4.20 to +1 310 ms"
    assert plain(formats.interval((-0.0012, 0.0034), "USD")) == "\N{MINUS SIGN}$0.00120 to +$0.00340"


@pytest.mark.parametrize(
    ("margin", "unit", "direction", "shown"),
    [
        ({"ratio": 1.5}, "share", "lower", "\N{MULTIPLICATION SIGN}1.5"),
        ({"ratio": 1.1}, "ms", "lower", "\N{MULTIPLICATION SIGN}1.1"),
        ({"absolute": 0.03}, "score", "higher", "\N{MINUS SIGN}0.030"),
        ({"absolute": 0.02}, "share", "lower", "+2.0 points"),
        (None, "share", "lower", "default"),
    ],
)
def test_margin__points_towards_worse(margin: dict[str, float] | None, unit: str, direction: str, shown: str) -> None:
    assert plain(formats.margin(margin, unit, direction)) == shown


@pytest.mark.parametrize(
    ("value", "kind", "direction", "unit", "shown"),
    [
        (0.02, "rate", "lower", "share", "limit: under 2.0 %"),
        (0.95, "rate", "higher", "share", "limit: over 95.0 %"),
        (0.9, "score", "higher", "score", "limit: over 0.900"),
        (0.1, "score", "lower", "score", "limit: under 0.100"),
        (0.02, "cost", "lower", "USD", "limit: under $0.0200"),
        (900.0, "cost", "lower", "tokens", "limit: under 900 tokens"),
        (2000.0, "latency", "lower", "share", "limit: P95 under 2 000 ms"),
    ],
)
def test_limit__says_on_which_side_and_of_a_latency_that_it_is_its_p95(
    value: float, kind: str, direction: str, unit: str, shown: str
) -> None:
    assert plain(formats.limit(value, kind, direction, unit)) == shown


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


@pytest.mark.parametrize(
    ("n", "shown"), [(0, "0"), (7.4, "7"), (42, "42"), (1897, "1 900"), (994, "990"), (123_456, "120 000")]
)
def test_about__two_digits(n: float, shown: str) -> None:
    assert plain(formats.about(n)) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        *[(0.4, "0 s"), (59, "59 s"), (2400, "40 min"), (10_900, "3 h"), (38 * 3600, "38 h"), (3 * 86_400, "3 d")],
        *[(59.7, "1 min"), (3569, "59 min"), (3599, "1 h"), (47.4 * 3600, "47 h"), (47.6 * 3600, "2 d")],
    ],
)
def test_roughly__one_unit__never_sixty_of_one_that_are_one_of_the_next(seconds: float, shown: str) -> None:
    assert plain(formats.roughly(seconds)) == shown

"""Numbers and times as people read them: a true minus sign, no break inside a number, an en dash for "no answer"."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
GAP = "\N{NARROW NO-BREAK SPACE}"
PLAIN = str.maketrans({GAP: " ", "\N{NO-BREAK SPACE}": " ", MINUS: "-"})

LARGEST_E = 10_000  # from here on only the logarithm tells more
SMALLEST_E = 0.01
FELT = ((1, 1, 2, "ms"), (10, 1, 1, "ms"), (1000, 1, 0, "ms"), (10, 1000, 2, "s"), (100, 1000, 1, "s"))
"""Of a time in ms, when rounded it is under so many: as how many ms each, with how many places, called what."""
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
ROUGHLY_UNDER = {"s": 60, "min": 60, "h": 48, "d": math.inf}


def plain(text: str) -> str:
    """For a terminal, where people search and copy: with the spaces and the minus of a keyboard."""
    return text.translate(PLAIN)


def count(n: int | None) -> str:
    return DASH if n is None else f"{n:,}".replace(",", GAP)


def about(n: float) -> str:
    """A number of which no more than two digits are known: `1 900`."""
    places = max(len(str(round(n))) - 2, 0)
    return count(int(round(n, -places)))


def weight(basis_points: int) -> str:
    return f"{basis_points / 100:g}{GAP}%"


def estimate(value: float | None, unit: str) -> str:
    """A share as a percentage, a score as it is, USD as `money`, everything else in its unit. unit: of core.plan."""
    if value is None:
        return DASH
    if unit == "USD":
        return money(value)
    return _percent(value) if unit == "share" else _with_unit(_digits(value, unit), unit)


def difference(value: float | None, unit: str) -> str:
    """Canary minus control: of shares in percentage points."""
    return DASH if value is None else _with_unit(_signed(value, unit), unit)


def interval(bounds: Sequence[float] | None, unit: str) -> str:
    if bounds is None:
        return DASH
    low, high = bounds
    return f"{_signed(low, unit)} to {difference(high, unit)}"


def money(usd: float | None) -> str:
    """`$1 204.50`, `$0.00210`: to a cent, and three digits that mean something of less than a dollar."""
    if usd is None:
        return DASH
    amount = abs(usd)
    cents = not amount or float(f"{amount:.3g}") >= 1
    digits = f"{amount:,.2f}".replace(",", GAP) if cents else _digits(amount, "USD")
    return f"{MINUS if usd < 0 else ''}${digits}"


def milliseconds(ms: float | None) -> str:
    """`84 ms`, `1.42 s`: as long as people feel it."""
    if ms is None:
        return DASH
    if not ms:
        return f"0{GAP}ms"
    for under, size, places, unit in FELT:
        digits = f"{ms / size:.{places}f}"
        if float(digits) < under:
            return f"{digits}{GAP}{unit}"
    return duration(round(ms / 1000))


def between(bounds: Sequence[float] | None, unit: str) -> str:
    """`1.2 to 3.4 %`: the ends of an interval of something that is no difference."""
    if bounds is None:
        return DASH
    low, high = bounds
    if unit == "share":
        return f"{_percent(low).removesuffix(GAP + '%')} to {_percent(high)}"
    return f"{money(low) if unit == 'USD' else _digits(low, unit)} to {estimate(high, unit)}"


def margin(written: Mapping[str, float] | None, unit: str, direction: str) -> str:
    """What still counts as not worse: a factor, or a difference with the sign of worse."""
    if written is None:
        return "default"
    if "ratio" in written:
        return f"{TIMES}{written['ratio']:g}"
    return difference(written["absolute"] if direction == "lower" else -written["absolute"], unit)


def limit(value: float, kind: str, direction: str, unit: str) -> str:
    """`limit: under 2.0 %`; of a latency, what 5 % of the calls may take longer than. unit: of the estimates."""
    if kind == "latency":
        return f"limit: P95 under {estimate(value, 'ms')}"
    return f"limit: {'under' if direction == 'lower' else 'over'} {estimate(value, unit)}"


def e_value(log_e: float) -> str:
    """An e-value, rounded down so that it never seems to have reached what it has not."""
    if log_e >= math.log(LARGEST_E):
        return f"over {count(LARGEST_E)} (ln {log_e:.1f})"
    value = math.exp(log_e)
    if value < SMALLEST_E:
        return f"under {SMALLEST_E}"
    places = 2 if value < 1 else 1 if value < 100 else 0
    floored = math.floor(value * 10**places + 1e-9) / 10**places
    return f"{floored:,.{places}f}".replace(",", GAP)


def signed_log(log_e: float) -> str:
    """A logarithm of an e-value: to a tenth."""
    return f"{log_e:.1f}".replace("-0.0", "0.0").replace("-", MINUS)


def of_limit(log_e: float, log_limit: float) -> str:
    """`3.1 of 20`: an e-value against what it must reach."""
    limit = f"{round(math.exp(log_limit), 1):,g}".replace(",", GAP)
    return f"{e_value(log_e)} of {limit}"


def duration(seconds: float) -> str:
    """The two largest units: `2 d 3 h`, `1 min 12 s`."""
    left, parts = max(0, int(seconds)), []
    for size, unit in UNITS:
        if left >= size:
            parts.append(f"{left // size}{GAP}{unit}")
            left %= size
        elif parts:
            break
    return "\N{NO-BREAK SPACE}".join(parts[:2]) or f"0{GAP}s"


def roughly(seconds: float) -> str:
    """As far as a forecast can tell: `40 min`, `3 h`, `38 h`, `2 d`."""
    for size, unit in reversed(UNITS):
        n = round(seconds / size)
        if n < ROUGHLY_UNDER[unit]:
            break
    return f"{n}{GAP}{unit}"


def moment(at: datetime, now: datetime) -> SafeString:
    """The time in UTC, with its day when that is not today."""
    day = "" if at.date() == now.date() else f"{at.day} {at:%b} " if at.year == now.year else f"{at.day} {at:%b %Y} "
    stamp, clock = f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%H:%M:%S}"
    return format_html('<time datetime="{}" title="{} UTC">{}{}</time>', stamp, f"{at:%Y-%m-%d} {clock}", day, clock)


def _percent(share: float) -> str:
    """Only none is 0 %, and only all is 100 %."""
    points = 100 * share
    if 0 < points < 0.01:
        return f"under 0.01{GAP}%"
    if points < 100 <= round(points, 1):
        return f"over 99.9{GAP}%"
    return f"{_points(points) if points else 0}{GAP}%"


def _points(points: float) -> str:
    return f"{points:.{1 if round(points, 2) >= 1 else 2}f}"


def _signed(value: float, unit: str) -> str:
    digits = _points(abs(100 * value)) if unit == "share" else _digits(abs(value), unit)
    dollars = "$" if unit == "USD" else ""
    if not float(digits.replace(GAP, "")):
        return f"{dollars}0"
    if dollars:
        return f"{'+' if value > 0 else ''}{money(value)}"
    return f"{'+' if value > 0 else MINUS}{digits}"


def _digits(value: float, unit: str) -> str:
    """Scores to a thousandth; costs and times to three digits that mean something."""
    if unit == "score" or not value:
        return f"{value:.3f}"
    exponent = int(f"{value:.2e}".partition("e")[2])  # of what is shown: 0.9999 is 1.00
    return f"{value:,.{min(max(0, 2 - exponent), 9)}f}".replace(",", GAP)


def _with_unit(digits: str, unit: str) -> str:
    name = {"share": "points", "score": "", "USD": ""}.get(unit, unit)
    return f"{digits}{GAP}{name}" if name else digits

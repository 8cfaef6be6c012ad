"""How near is the evidence of harm to its limit, and where does it go? Small enough for a line of a list."""

from collections.abc import Sequence
from datetime import datetime

from django.utils.safestring import SafeString

from rollout.charts.scales import Scale, is_known
from rollout.charts.svg import element, line, picture

WIDTH, HEIGHT, BORDER = 220.0, 36.0, 5.0
# One range for all, so that they can be compared: the limit near the top, 0 in the middle.
HIGHEST, LOWEST = 1.15, -1.0


def spark(points: Sequence[tuple[datetime, float]], *, limit: float, title: str) -> SafeString:
    """points: of the natural log of the e-value over all metrics, oldest first. title: what the picture says."""
    y = Scale(limit * LOWEST, limit * HIGHEST, HEIGHT - BORDER, BORDER)
    known = [(at, value) for at, value in points if is_known(value)]
    return picture(
        line("grid", 0, y(0), WIDTH, y(0)),
        line("limit", 0, y(limit), WIDTH, y(limit)),
        *(_drawn(known, y) if known else ()),
        kind="spark",
        width=WIDTH,
        height=HEIGHT,
        title=title,
    )


def _drawn(points: Sequence[tuple[datetime, float]], y: Scale) -> tuple[SafeString, SafeString]:
    """Without the dots and gaps of larger charts, since a page may have hundreds of these."""
    since, span = points[0][0], (points[-1][0] - points[0][0]).total_seconds() or 1.0
    wide = (WIDTH - 2 * BORDER) / span
    corners = [(BORDER + wide * (at - since).total_seconds(), y(value)) for at, value in points]
    last_x, last_y = corners[-1]
    return (
        element("polyline", class_="line all", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in corners)),
        element("circle", class_="canary", cx=last_x, cy=last_y, r=3.5),
    )

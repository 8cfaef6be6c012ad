"""How near is the evidence of harm to its limit, and where does it go? Small enough for a line of a list."""

from collections.abc import Sequence
from datetime import datetime

from django.utils.safestring import SafeString

from rollout.charts.parts import Line, drawn
from rollout.charts.scales import Scale, TimeScale, is_known
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
    x = TimeScale(points[0][0], points[-1][0], BORDER, WIDTH - BORDER)
    at, value = points[-1]
    return (
        drawn(Line("", points, "all"), x, y),
        element("circle", class_="canary", cx=x(at), cy=y(value), r=3.5),
    )

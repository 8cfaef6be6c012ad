"""By how much does the canary differ, and how surely? Canary minus control; worse is to the right for every metric."""

from django.utils.safestring import SafeString

from rollout.charts.scales import Scale, is_known, known
from rollout.charts.svg import element, line, picture

WIDTH, HEIGHT, BORDER = 200.0, 30.0, 6.0


def difference_plot(
    *,
    difference: float | None,
    interval: tuple[float, float] | None,
    margin: float | None,
    higher_is_better: bool,
    words: str,
) -> SafeString:
    """margin: how much worse still counts as not worse, >= 0, in the unit of the difference. words: all of it told.

    An interval that is open at an end goes to the border.
    """
    sign = -1.0 if higher_is_better else 1.0
    ends = sorted(sign * end for end in interval) if interval and not any(end != end for end in interval) else []
    point = sign * difference if difference is not None and is_known(difference) else None
    furthest = max([abs(value) for value in known([point, margin, *ends])], default=0.0) * 1.12 or 1.0
    x = Scale(-furthest, furthest, BORDER, WIDTH - BORDER)
    return picture(
        *(_allowed(margin, x) if margin is not None and is_known(margin) else ()),
        line("zero", x(0), 4, x(0), HEIGHT - 4),
        *([line("whisker", x(ends[0]), HEIGHT / 2, x(ends[1]), HEIGHT / 2)] if ends else ()),
        *([element("circle", class_="canary", cx=x(point), cy=HEIGHT / 2, r=4.5)] if point is not None else ()),
        kind="plot",
        width=WIDTH,
        height=HEIGHT,
        title=words,
    )


def _allowed(margin: float, x: Scale) -> tuple[SafeString, SafeString]:
    end = x(margin)
    return (
        element("rect", class_="margin", x=x.start, y=4, width=end - x.start, height=HEIGHT - 8),
        line("limit", end, 4, end, HEIGHT - 4),
    )

"""How has it gone, and what happened meanwhile? Panels below each other on one axis of time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from rollout.charts.held import Level, Stretch, level_labels, levels_drawn, near, stretches_drawn
from rollout.charts.parts import (
    FORMS,
    KINDS,
    LINE_HEIGHT,
    Form,
    Label,
    Line,
    Mark,
    bounds_drawn,
    drawn,
    labelled,
    last_value,
    marks_drawn,
    room_for,
    rows_of,
    span_of,
    time_axis,
    width_of,
)
from rollout.charts.scales import Scale, TimeScale, known, ticks
from rollout.charts.svg import joined, line, picture, text

HEIGHT, HEAD, BELOW = 84.0, 26.0, 24.0
GRID = 3  # lines of it in a panel
LEAST_OF_SCORES = 0.02  # between the borders of a panel that does not begin at 0: less would make hills of noise


@dataclass(frozen=True, slots=True)
class Panel:
    """format: of a value, as the axis writes it. levels: what the values are held against. from_zero: whether the range
    begins at 0 where nothing is below it; else it is that of the values, for what moves far from 0, such as scores."""

    name: str
    lines: Sequence[Line]
    format: Callable[[float], str]
    levels: Sequence[Level] = ()
    from_zero: bool = True


def series_chart(
    panels: Sequence[Panel],
    *,
    marks: Sequence[Mark],
    title: str,
    description: str,
    stretches: Sequence[Stretch] = (),
) -> SafeString:
    """Every panel has its own range; marks and stretches go through all. Without any point there is no chart."""
    span = span_of([at for panel in panels for each in panel.lines for at, _ in each.points])
    if span is None:
        return SafeString("")
    inside = [mark for mark in marks if span[0] <= mark.at <= span[1]]
    return joined(_chart(panels, inside, stretches, TimeScale(*span, 0, 0), form, title, description) for form in FORMS)


def _chart(
    panels: Sequence[Panel],
    marks: Sequence[Mark],
    stretches: Sequence[Stretch],
    times: TimeScale,
    form: Form,
    title: str,
    description: str,
) -> SafeString:
    room = room_for([name for panel in panels for name in _names(panel)], form)
    axis = max([form.axis, *(width_of(words) + 10 for panel in panels for words in _written(panel))])
    x = TimeScale(times.since, times.until, axis, form.width - room - 12)
    top = LINE_HEIGHT * (1 + max(rows_of(marks, x), default=-1))
    parts, above = [], top
    for panel in panels:
        height = max(HEIGHT, LINE_HEIGHT * (len(panel.lines) + len(_levels(panel))))
        parts.append(_panel(panel, x, above + HEAD, above + HEAD + height, room))
        above += HEAD + height
    return picture(
        stretches_drawn(stretches, x, top=top, bottom=above),
        marks_drawn(marks, x, top=top, bottom=above),
        *parts,
        time_axis(x, y=above + 18, most=form.times),
        kind=form.kind,
        width=form.width,
        height=above + BELOW,
        title=title,
        description=description,
    )


def _panel(panel: Panel, x: TimeScale, top: float, bottom: float, room: float) -> SafeString:
    low, high = _range(panel)
    y = Scale(low, high, bottom, top)
    levels = _levels(panel)
    ends = [
        Label(each.name, y(value), KINDS[each.kind]) for each in panel.lines if (value := last_value(each)) is not None
    ]
    return joined(
        [
            text(panel.name, x.start, top - 9, kind="strong"),
            *(line("grid", x.start, y(value), x.end, y(value)) for value in ticks(low, high, GRID)),
            *(text(panel.format(value), x.start - 7, y(value) + 4, anchor="end") for value in ticks(low, high, GRID)),
            *(bounds_drawn(each, x, y) for each in panel.lines),
            levels_drawn(levels, x, y),
            *(drawn(each, x, y) for each in panel.lines),
            labelled([*ends, *level_labels(levels, y)], x=x.end + 9, top=top, bottom=bottom, room=room),
        ]
    )


def _levels(panel: Panel) -> list[Level]:
    return near(panel.levels, max(_values(panel), default=0.0))


def _names(panel: Panel) -> list[str]:
    return [*(drawing.name for drawing in panel.lines), *(level.name for level in _levels(panel))]


def _values(panel: Panel) -> list[float]:
    return known(value for each in panel.lines for _, value in each.points)


def _range(panel: Panel) -> tuple[float, float]:
    values = [*_values(panel), *(level.value for level in _levels(panel))]
    if panel.from_zero or not values:
        low, high = min([*values, 0.0]), max(values, default=1.0)
        return low, high if high > low else low + 1.0
    half = max(max(values) - min(values), LEAST_OF_SCORES) * 0.6
    middle = (max(values) + min(values)) / 2
    return middle - half, middle + half


def _written(panel: Panel) -> list[str]:
    return [panel.format(value) for value in ticks(*_range(panel), GRID)]

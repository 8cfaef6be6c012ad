"""Is there evidence of harm, since when, and by which metric? Log e-values over time against the limit."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from rollout.charts.parts import (
    FORMS,
    KINDS,
    LINE_HEIGHT,
    Band,
    Form,
    Label,
    Line,
    Mark,
    bands_drawn,
    drawn,
    labelled,
    last_value,
    marks_drawn,
    room_for,
    span_of,
    time_axis,
)
from rollout.charts.scales import Scale, TimeScale, known, ticks
from rollout.charts.svg import element, joined, line, picture, text
from rollout.formats import MINUS

TOP, HEIGHT, BELOW = 28.0, 230.0, 24.0
# The limit stays in sight: what is further away than so many times its height is drawn at the border.
HIGHEST, LOWEST = 3.0, -1.5
ORDER = ("plain", "canary", "guilty", "all")  # the last drawn lies on top


@dataclass(frozen=True, slots=True)
class Frame:
    """The field that the lines are drawn in."""

    x: TimeScale
    y: Scale

    @property
    def top(self) -> float:
        return self.y.end

    @property
    def bottom(self) -> float:
        return self.y.start


def evidence_chart(
    lines: Sequence[Line],
    *,
    limit: float,
    limit_words: str,
    bands: Sequence[Band],
    mark: Mark | None,
    title: str,
    description: str,
) -> SafeString:
    """lines: natural logarithms of e-values. limit: of the line that is over all metrics, > 0.

    The axis begins with the first point or band and ends with the last, or the mark. Without any there is no chart.
    """
    times = [at for each in lines for at, _ in each.points]
    times += [at for band in bands for at in (band.since, band.until)]
    span = span_of([*times, *([mark.at] if mark else [])])
    if span is None:
        return SafeString("")
    labels = [_named(each, limit) for each in lines]
    pictures = []
    for form in FORMS:
        room = room_for(labels, form)
        top = TOP + (LINE_HEIGHT if mark else 0)
        bottom = top + max(HEIGHT, LINE_HEIGHT * len(lines))
        x = TimeScale(*span, form.axis, form.width - room - 12)
        frame = Frame(x, Scale(*_range(lines, limit), bottom, top))
        parts = _parts(lines, limit, limit_words, bands, mark, frame, form, room)
        pictures.append(
            picture(
                *parts,
                kind=form.kind,
                width=form.width,
                height=bottom + BELOW,
                title=title,
                description=description,
            )
        )
    return joined(pictures)


def _parts(
    lines: Sequence[Line],
    limit: float,
    limit_words: str,
    bands: Sequence[Band],
    mark: Mark | None,
    frame: Frame,
    form: Form,
    room: float,
) -> list[SafeString]:
    x, y = frame.x, frame.y
    ordered = sorted(lines, key=lambda each: ORDER.index(each.kind))
    return [
        bands_drawn(bands, x, top=frame.top, bottom=frame.bottom),
        *(_grid(value, frame) for value in ticks(y.low, y.high)),
        line("limit", x.start, y(limit), x.end, y(limit)),
        *(drawn(each, x, y) for each in ordered),
        text(limit_words, x.start + 5, y(limit) - 6, kind="limit-words"),
        labelled(
            [
                Label(_named(each, limit), y(value), KINDS[each.kind])
                for each in lines
                if (value := last_value(each)) is not None
            ],
            x=x.end + 9,
            top=frame.top,
            bottom=frame.bottom,
            room=room,
        ),
        _marked(mark, lines, frame) if mark else SafeString(""),
        time_axis(x, y=frame.bottom + 18, most=form.times),
    ]


def _range(lines: Sequence[Line], limit: float) -> tuple[float, float]:
    values = known(value for each in lines for _, value in each.points)
    highest = min(max([*values, limit * 1.2]), limit * HIGHEST)
    lowest = max(min([*values, -limit * 0.4]), limit * LOWEST)
    return lowest, highest


def _named(each: Line, limit: float) -> str:
    """The name at the line's end; with its value where that is out of sight."""
    value = last_value(each)
    if value is not None and value > limit * HIGHEST:
        return f"{each.name} ↑ {value:.0f}"
    if value is not None and value < limit * LOWEST:
        return f"{each.name} ↓ {value:.0f}".replace("-", MINUS)
    return each.name


def _grid(value: float, frame: Frame) -> SafeString:
    place = frame.y(value)
    words = f"{value:g}".replace("-", MINUS)
    return joined(
        [
            line("axis" if value == 0 else "grid", frame.x.start, place, frame.x.end, place),
            text(words, frame.x.start - 7, place + 4, anchor="end"),
        ]
    )


def _marked(mark: Mark, lines: Sequence[Line], frame: Frame) -> SafeString:
    """Its words above the names of the bands; the canary's with a dot on the line over all."""
    pole = marks_drawn([mark], frame.x, top=frame.top - LINE_HEIGHT, bottom=frame.bottom)
    overall = next((value for each in lines if each.kind == "all" and (value := last_value(each)) is not None), None)
    if overall is None or not mark.canary:
        return pole
    return joined([pole, element("circle", class_="canary", cx=frame.x(mark.at), cy=frame.y(overall), r=5)])

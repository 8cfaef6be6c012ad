"""What charts over time are made of: lines with their names at their ends, bands, marks, and the axis of time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Literal

from django.utils.safestring import SafeString

from rollout.charts.scales import Scale, TimeScale, is_known
from rollout.charts.svg import element, joined, line, text

LETTER = 6.9  # width of an average letter, of the size that static/serinus.css gives text in charts
LINE_HEIGHT = 15.0
SHORTEST_NAME = 4
KINDS = {"plain": None, "guilty": "guilty", "all": "strong", "canary": "of-canary"}  # of a line → of its name


@dataclass(frozen=True, slots=True)
class Line:
    """A value that is None or not a number breaks the line. bounds: the ends of each point's interval, or none."""

    name: str
    points: Sequence[tuple[datetime, float | None]]
    kind: Literal["plain", "guilty", "all", "canary"] = "plain"
    bounds: Sequence[tuple[float, float] | None] = ()


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time with a name: a step of a rollout."""

    name: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment with words or without: an end, a pause, a label that moved. canary: drawn as the canary's."""

    at: datetime
    words: str
    canary: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """How a chart is drawn for a screen: its units, and the share of the width that names at lines' ends may take."""

    kind: str
    width: float
    axis: float
    names: float
    times: int


WIDE = Form("chart wide", 960, 48, 0.22, 7)
NARROW = Form("chart narrow", 360, 34, 0.32, 4)
FORMS = (WIDE, NARROW)


@dataclass(frozen=True, slots=True)
class Label:
    """Words that belong at y, drawn at `place`."""

    words: str
    y: float
    kind: str | None
    place: float = math.nan


def drawn(drawing: Line, x: TimeScale, y: Scale) -> SafeString:
    """The line; a point alone between gaps as a dot."""
    pieces = []
    for whole, points in groupby(drawing.points, key=lambda point: is_known(point[1])):
        places = [(x(at), y(value)) for at, value in points if value is not None] if whole else []
        if len(places) == 1:
            pieces.append(element("circle", class_=f"point {drawing.kind}", cx=places[0][0], cy=places[0][1], r=2.5))
        elif places:
            corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
            pieces.append(element("polyline", class_=f"line {drawing.kind}", points=corners))
    return joined(pieces)


def bounds_drawn(drawing: Line, x: TimeScale, y: Scale) -> SafeString:
    """The intervals as a band behind the line; of a point alone between gaps as a whisker."""
    pieces = []
    both = [(at, ends) for (at, _), ends in zip(drawing.points, drawing.bounds, strict=False)]
    for _, points in groupby(both, key=lambda point: point[1] is not None):
        ends = [(x(at), y(of_point[0]), y(of_point[1])) for at, of_point in points if of_point is not None]
        if len(ends) == 1:
            place, low, high = ends[0]
            pieces.append(line(f"whisker {drawing.kind}", place, low, place, high))
        elif ends:
            there, back = [(a, high) for a, _, high in ends], [(a, low) for a, low, _ in reversed(ends)]
            corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in [*there, *back])
            pieces.append(element("polygon", class_=f"bounds {drawing.kind}", points=corners))
    return joined(pieces)


def last_value(drawing: Line) -> float | None:
    return next((value for _, value in reversed(drawing.points) if is_known(value)), None)


def apart(labels: Sequence[Label], *, top: float, bottom: float) -> list[Label]:
    """The labels in their order from above, moved as little as keeps them a line's height apart and inside."""
    ordered = sorted(labels, key=lambda label: label.y)
    places: list[float] = []
    for number, label in enumerate(ordered):
        least = places[-1] + LINE_HEIGHT if places else top
        places.append(max(label.y, least))
        overhang = places[-1] - bottom
        if overhang > 0:  # those that touch it move up together
            for earlier in range(number, -1, -1):
                ceiling = bottom if earlier == number else places[earlier + 1] - LINE_HEIGHT
                places[earlier] = min(places[earlier], ceiling)
    return [Label(label.words, label.y, label.kind, place) for label, place in zip(ordered, places, strict=True)]


def labelled(labels: Sequence[Label], *, x: float, top: float, bottom: float, room: float) -> SafeString:
    """Words beside the ends of lines, none over another."""
    return joined(
        text(shortened(label.words, room), x, label.place + 4, kind=label.kind)
        for label in apart(labels, top=top, bottom=bottom)
    )


def room_for(names: Sequence[str], form: Form) -> float:
    """Units that the longest of these names needs, as far as the form has them."""
    longest = max((width_of(name) for name in names), default=0.0)
    return min(longest, form.width * form.names)


def shortened(words: str, room: float) -> str:
    most = max(int(room / LETTER + 1e-9), SHORTEST_NAME)
    return words if len(words) <= most else f"{words[: most - 1]}…"


def width_of(words: str) -> float:
    return len(words) * LETTER


def bands_drawn(bands: Sequence[Band], x: TimeScale, *, top: float, bottom: float) -> SafeString:
    """Every second one shaded; named where its name has room."""
    pieces = []
    for number, band in enumerate(bands):
        left, right = x(band.since), x(band.until)
        kind = "band" if number % 2 == 0 else "band odd"
        pieces.append(element("rect", class_=kind, x=left, y=top, width=max(right - left, 0.0), height=bottom - top))
        if width_of(band.name) <= right - left:
            pieces.append(text(band.name, left + 4, top - 8))
    return joined(pieces)


def marks_drawn(marks: Sequence[Mark], x: TimeScale, *, top: float, bottom: float) -> SafeString:
    """Lines from top to bottom, and over them their words above it, in as many rows as keep these apart."""
    poles, words = [], []
    for mark, row in zip(marks, rows_of(marks, x), strict=True):
        if not mark.words:
            poles.append(line("mark canary" if mark.canary else "mark", x(mark.at), top, x(mark.at), bottom))
            continue
        place, height = x(mark.at), top - 6 - row * LINE_HEIGHT
        left, anchor = _beside(mark, x)
        start = left if anchor == "start" else left + width_of(mark.words)
        poles.append(line("mark canary" if mark.canary else "mark", place, height - 10, place, bottom))
        words.append(text(mark.words, start, height, kind="strong" if mark.canary else None, anchor=anchor))
    return joined([*poles, *words])


def rows_of(marks: Sequence[Mark], x: TimeScale) -> list[int]:
    """The row of each mark's words: the lowest in which they touch no others; -1 of one without."""
    taken: list[list[tuple[float, float]]] = []
    rows = []
    for mark in marks:
        if not mark.words:
            rows.append(-1)
            continue
        left, _ = _beside(mark, x)
        right = left + width_of(mark.words) + 8
        row = next(
            (row for row, spans in enumerate(taken) if all(right <= start or end <= left for start, end in spans)),
            len(taken),
        )
        if row == len(taken):
            taken.append([])
        taken[row].append((left, right))
        rows.append(row)
    return rows


def time_axis(x: TimeScale, *, y: float, most: int) -> SafeString:
    ticks = x.ticks(most)
    return joined(text(words, place, y, anchor=_anchor(place, words, x)) for place, words in ticks)


def span_of(times: Sequence[datetime]) -> tuple[datetime, datetime] | None:
    return (min(times), max(times)) if times else None


def _anchor(place: float, words: str, x: TimeScale) -> str:
    """So that the words at the borders stay inside."""
    half = width_of(words) / 2
    return "start" if place - half < x.start else "end" if place + half > x.end else "middle"


def _beside(mark: Mark, x: TimeScale) -> tuple[float, str]:
    """Left end of a mark's words, and which end is at its line: they open towards the middle."""
    place = x(mark.at)
    if place > (x.start + x.end) / 2:
        return max(place - 5 - width_of(mark.words), 0.0), "end"
    return place + 5, "start"

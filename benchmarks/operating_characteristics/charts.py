"""Draws charts of dots with whiskers as SVG: a group of lines for each thing compared, in it a line for each method."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

WIDTH, LEFT, RIGHT, TOP = 900, 400, 30, 70
LINE, GAP = 13, 12
COLOURS = ("#0b6e4f", "#c2571a", "#7a4fb5", "#2a6fb0", "#8a8a8a", "#b0306a")
TEXT = 'font-family="sans-serif" font-size="12" fill="#222222"'


class Mark(NamedTuple):
    """A dot, and how far its whisker reaches to both sides."""

    low: float
    point: float
    high: float


class Group(NamedTuple):
    """What the methods are compared on, and each one's mark."""

    name: str
    marks: Mapping[str, Mark]


@dataclass(frozen=True, slots=True)
class Axis:
    """place: where a value is, from 0 to 1. bound: a value to draw a line at."""

    place: Callable[[float], float]
    ticks: Mapping[float, str]
    bound: float | None = None


SHARES = Axis(
    place=math.sqrt,  # most shares are small
    ticks={share: f"{share:.0%}" for share in (0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1)},
    bound=0.05,
)
CALLS = Axis(
    place=lambda calls: (math.log10(max(calls, 5)) - math.log10(5)) / (math.log10(50_000) - math.log10(5)),
    ticks={calls: f"{calls:,}".replace(",", " ") for calls in (10, 30, 100, 300, 1000, 3000, 10_000, 30_000)},
)


def chart(title: str, groups: Sequence[Group], axis: Axis) -> str:
    """The chart as a document of SVG."""
    methods = list(dict.fromkeys(method for group in groups for method in group.marks))
    height = TOP + sum(len(group.marks) * LINE + GAP for group in groups) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(10, 20, title, weight="bold"),
        *_legend(methods),
        *_grid(axis, height),
        *_groups(groups, methods, axis),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _legend(methods: Sequence[str]) -> Iterator[str]:
    x = 14.0
    for method, colour in zip(methods, COLOURS, strict=False):
        yield f'<circle cx="{x}" cy="42" r="4" fill="{colour}"/>'
        yield _text(x + 9, 46, method)
        x += 30 + 6.5 * len(method)


def _grid(axis: Axis, height: int) -> Iterator[str]:
    for value, label in axis.ticks.items():
        x = _x(axis, value)
        yield f'<line x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{height - 24}" stroke="#dddddd"/>'
        yield _text(x, height - 8, label, anchor="middle")
    if axis.bound is not None:
        x = _x(axis, axis.bound)
        yield f'<line x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{height - 24}" stroke="#bb2222" stroke-dasharray="4 3"/>'


def _groups(groups: Sequence[Group], methods: Sequence[str], axis: Axis) -> Iterator[str]:
    y = float(TOP)
    for group in groups:
        yield _text(LEFT - 12, y + len(group.marks) * LINE / 2 + 2, group.name, anchor="end")
        for method, mark in group.marks.items():
            colour = COLOURS[methods.index(method)]
            low, point, high = (_x(axis, value) for value in mark)
            yield f'<line x1="{low}" y1="{y}" x2="{high}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
            yield f'<circle cx="{point}" cy="{y}" r="4" fill="{colour}"/>'
            y += LINE
        y += GAP


def _x(axis: Axis, value: float) -> float:
    return round(LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT), 1)


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y:.1f}" {TEXT} text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'

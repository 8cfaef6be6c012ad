"""What values are held against, and what held meanwhile: levels across a panel, stretches of time through all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.utils.safestring import SafeString

from rollout.charts.parts import Label
from rollout.charts.scales import Scale, TimeScale
from rollout.charts.svg import element, joined, line

NARROWEST = 2.0  # units of a stretch: an alert of five minutes is seen in a month too
FARTHEST = 3.0  # of the largest value: a level beyond that would leave the values no room
KINDS = {"usual": None, "limit": "limit-words", "promise": "promise-words"}  # of a level → of its name


@dataclass(frozen=True, slots=True)
class Level:
    """A value with a name. usual: a baseline; limit: beyond it there is an alert; promise: an objective's."""

    name: str
    value: float
    kind: Literal["usual", "limit", "promise"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which something held: a rollout, an alert."""

    since: datetime
    until: datetime
    kind: Literal["rollout", "warning", "critical"]


def near(levels: Sequence[Level], largest: float) -> list[Level]:
    """Those that can be drawn with the values, the largest of which this is; all where there is nothing but 0."""
    return [level for level in levels if level.value <= FARTHEST * largest or not largest]


def levels_drawn(levels: Sequence[Level], x: TimeScale, y: Scale) -> SafeString:
    return joined(line(f"level {each.kind}", x.start, y(each.value), x.end, y(each.value)) for each in levels)


def level_labels(levels: Sequence[Level], y: Scale) -> list[Label]:
    return [Label(each.name, y(each.value), KINDS[each.kind]) for each in levels]


def stretches_drawn(stretches: Sequence[Stretch], x: TimeScale, *, top: float, bottom: float) -> SafeString:
    """Shaded from top to bottom, the parts of them that the axis has."""
    shown = [each for each in stretches if each.since <= x.until and each.until >= x.since]
    return joined(
        element(
            "rect",
            class_=f"meanwhile of-{each.kind}",
            x=x(each.since),
            y=top,
            width=max(x(each.until) - x(each.since), NARROWEST),
            height=bottom - top,
        )
        for each in shown
    )

"""Charts as functions of numbers that return SVG: with a title and a description, and no script or style in them.

Sizes and positions are attributes; colours and strokes are classes of static/serinus.css. What has text in it is drawn
twice, for a wide and for a narrow screen, since text that shrinks with its picture cannot be read on a phone.
"""

from rollout.charts.bars import Bar, bar_list
from rollout.charts.difference import difference_plot
from rollout.charts.evidence import evidence_chart
from rollout.charts.held import Level, Stretch
from rollout.charts.meter import meter
from rollout.charts.parts import Band, Line, Mark
from rollout.charts.series import Panel, series_chart
from rollout.charts.spark import spark

__all__ = [
    "Band",
    "Bar",
    "Level",
    "Line",
    "Mark",
    "Panel",
    "Stretch",
    "bar_list",
    "difference_plot",
    "evidence_chart",
    "meter",
    "series_chart",
    "spark",
]

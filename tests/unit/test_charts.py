"""Charts: positions by numbers, what is missing or huge, words that never touch, and names from outside."""

import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree as Xml

import pytest

from rollout.charts import (
    Band,
    Bar,
    Level,
    Line,
    Mark,
    Panel,
    Stretch,
    bar_list,
    difference_plot,
    evidence_chart,
    meter,
    series_chart,
    spark,
)
from rollout.charts.parts import Label, apart, rows_of
from rollout.charts.scales import Scale, TimeScale, ticks
from rollout.formats import DASH

NINE = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)
HOSTILE = "<script>alert('x')</script>\"&"
LIMIT = math.log(20)


def at(minutes: float) -> datetime:
    return NINE + timedelta(minutes=minutes)


def line(*values: float | None, name: str = "errors", kind: str = "plain") -> Line:
    return Line(name, [(at(10 * number), value) for number, value in enumerate(values)], kind)  # type: ignore[arg-type]


def pictures(svg: str) -> list[Xml.Element]:
    """The chart as a reader of XML finds it: raises on what is not well formed."""
    return list(Xml.fromstring(f"<all>{svg}</all>"))


def found(picture: Xml.Element, kind: str) -> list[Xml.Element]:
    return [part for part in picture.iter() if part.get("class") == kind]


def words(picture: Xml.Element) -> list[str]:
    return [part.text or "" for part in picture.iter("text")]


def evidence(*lines: Line, mark: Mark | None = None, bands: tuple[Band, ...] = ()) -> list[Xml.Element]:
    svg = evidence_chart(
        lines, limit=LIMIT, limit_words="rolls back at 3.0", bands=bands, mark=mark, title="Evidence", description="So."
    )
    return pictures(svg)


def corners(picture: Xml.Element, kind: str) -> list[tuple[float, float]]:
    return [
        (float(pair.split(",")[0]), float(pair.split(",")[1]))
        for part in found(picture, f"line {kind}")
        for pair in part.attrib["points"].split()
    ]


def test_scale__beyond_its_ends__stands_at_the_border() -> None:
    y = Scale(0, 10, 100, 0)

    assert [y(value) for value in (-5, 0, 5, 10, math.inf)] == [100, 100, 50, 0, 0]
    assert Scale(3, 3, 0, 10)(3) == 5


@pytest.mark.parametrize(
    ("low", "high", "written"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (-1.2, 3.6, [-1, 0, 1, 2, 3]), (0, 7e8, [0, 2e8, 4e8, 6e8]), (5, 5, [5])],
)
def test_ticks__round_numbers_inside(low: float, high: float, written: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(written)


@pytest.mark.parametrize(
    ("span", "most", "written"),
    [
        (timedelta(seconds=40), 5, ["09:00:00", "09:00:10", "09:00:20", "09:00:30", "09:00:40"]),
        (timedelta(hours=3), 4, ["09:00", "10:00", "11:00", "12:00"]),
        (timedelta(days=1), 3, ["12:00", "15 Mar"]),
        (timedelta(days=30), 4, ["26 Mar", "9 Apr"]),
        (timedelta(0), 4, ["09:00:00"]),
    ],
)
def test_time_ticks__round_times_in_words(span: timedelta, most: int, written: list[str]) -> None:
    assert [words for _, words in TimeScale(NINE, NINE + span, 0, 100).ticks(most)] == written


def test_apart__labels_at_one_place__a_line_between_each_and_all_inside() -> None:
    labels = [Label(str(number), 95, None) for number in range(4)] + [Label("top", 10, None)]

    placed = apart(labels, top=0, bottom=100)

    places = [label.place for label in placed]
    assert placed[0].words == "top"
    assert placed[0].place == 10
    assert places == sorted(places)
    assert all(below - above >= 15 for above, below in pairwise(places))
    assert places[-1] == 100


def test_rows__marks_whose_words_would_touch__in_rows_of_their_own() -> None:
    x = TimeScale(NINE, at(100), 0, 1000)
    marks = [Mark(at(10), "v1.1 to production"), Mark(at(12), "v1.2 to production"), Mark(at(45), "v1.3 to production")]

    assert rows_of(marks, x) == [0, 1, 0]


def test_evidence__wide_and_narrow__titled_described_and_by_numbers() -> None:
    charts = evidence(line(0, 1, LIMIT, name="all metrics", kind="all"), line(0, -0.5, -1, name="cost"))

    assert [chart.get("class") for chart in charts] == ["chart wide", "chart narrow"]
    for chart in charts:
        assert chart.get("role") == "img"
        assert [chart[0].text, chart[1].text] == ["Evidence", "So."]
        limit = float(found(chart, "limit")[0].attrib["y1"])
        overall = corners(chart, "all")
        assert overall[-1][1] == limit  # it reached the limit
        assert overall[0][0] < overall[1][0] < overall[2][0]
        zero = float(found(chart, "axis")[0].attrib["y1"])
        assert overall[0][1] == zero
        assert corners(chart, "plain")[-1][1] > zero
        assert {"all metrics", "cost", "rolls back at 3.0", "0"} <= set(words(chart))


def test_evidence__guilty_line__is_of_its_own_kind_and_over_all_lies_on_top() -> None:
    (chart, _) = evidence(line(0, 4, kind="all"), line(0, 5, kind="guilty"), line(0, 1))

    kinds = [part.get("class") for part in chart.iter("polyline")]

    assert kinds == ["line plain", "line guilty", "line all"]


def test_evidence__names_at_the_lines_ends__never_overlap_and_stay_inside() -> None:
    names = [f"metric {number}" for number in range(30)]

    for chart in evidence(*(line(0, 0.1, name=name) for name in names)):
        places = sorted(
            float(part.attrib["y"]) for part in chart.iter("text") if (part.text or "").startswith("metric")
        )

        assert len(places) == 30
        assert all(below - above >= 15 for above, below in pairwise(places))
        assert places[-1] < float(chart.attrib["viewBox"].split()[3])


def test_evidence__huge_values__keep_the_limit_in_sight_and_say_how_far_they_are() -> None:
    (chart, _) = evidence(line(0, 700, name="hallucination", kind="guilty"), line(0, -700, name="cost"))

    limit, zero = (float(found(chart, kind)[0].attrib["y1"]) for kind in ("limit", "axis"))
    assert zero - limit > 40
    assert {"hallucination ↑ 700", "cost ↓ \N{MINUS SIGN}700"} <= set(words(chart))


def test_evidence__gaps__break_the_line_and_a_lone_point_is_a_dot() -> None:
    (chart, _) = evidence(line(0, 1, None, 2, math.nan, 1, 2))

    assert len(found(chart, "line plain")) == 2
    assert len(found(chart, "point plain")) == 1


@pytest.mark.parametrize("values", [(0.0,), (2.0, 2.0, 2.0), (None,), ()])
def test_evidence__one_point_all_equal_or_none__no_nan(values: tuple[float | None, ...]) -> None:
    svg = evidence_chart(
        [line(*values)], limit=LIMIT, limit_words="", bands=(), mark=None, title="Evidence", description=""
    )

    assert pictures(svg) or not values
    assert "nan" not in svg
    assert "inf" not in svg


def test_evidence__steps__as_bands_named_where_the_name_has_room() -> None:
    bands = (Band("5 % of units", NINE, at(99)), Band("25 % of units", at(99), at(100)))

    (chart, _) = evidence(line(0, 1, 2), bands=bands)

    first, second = found(chart, "band") + found(chart, "band odd")
    assert float(first.attrib["width"]) == pytest.approx(99 * float(second.attrib["width"]), rel=0.05)
    assert "5 % of units" in words(chart)
    assert "25 % of units" not in words(chart)


def test_evidence__its_end__a_yellow_dot_on_the_line_over_all() -> None:
    (chart, _) = evidence(line(0, 1, 2, kind="all"), mark=Mark(at(20), "09:20, rolled back", canary=True))

    dot = found(chart, "canary")[0]
    assert (float(dot.attrib["cx"]), float(dot.attrib["cy"])) == corners(chart, "all")[-1]
    assert "09:20, rolled back" in words(chart)


def test_charts__names_from_outside__are_text() -> None:
    band, mark = Band(HOSTILE, NINE, at(100)), Mark(at(5), HOSTILE)
    panel = Panel(HOSTILE, [line(1, 2, name=HOSTILE)], str)
    drawn = [
        evidence_chart(
            [line(0, 1, name=HOSTILE)],
            limit=LIMIT,
            limit_words=HOSTILE,
            bands=[band],
            mark=mark,
            title=HOSTILE,
            description=HOSTILE,
        ),
        series_chart([panel], marks=[mark], title=HOSTILE, description=HOSTILE),
        bar_list([Bar(HOSTILE, 1.0, HOSTILE)], title=HOSTILE),
        difference_plot(difference=1, interval=None, margin=None, higher_is_better=False, words=HOSTILE),
        spark([(NINE, 1.0)], limit=LIMIT, title=HOSTILE),
        meter(0.5, words=HOSTILE),
    ]

    for svg in drawn:
        assert pictures(svg)
        assert "<script" not in svg
        assert not re.search(r"<[^>]*\s(on\w+|style)=", svg)


def test_difference__worse_is_to_the_right_for_every_metric() -> None:
    def places(*, higher_is_better: bool) -> tuple[float, float, float, float]:
        (plot,) = pictures(
            difference_plot(
                difference=0.02, interval=(0.01, 0.05), margin=0.03, higher_is_better=higher_is_better, words="so"
            )
        )
        whisker = found(plot, "whisker")[0].attrib
        return (
            float(found(plot, "zero")[0].attrib["x1"]),
            float(found(plot, "canary")[0].attrib["cx"]),
            float(whisker["x1"]),
            float(whisker["x2"]),
        )

    zero, worse, low, high = places(higher_is_better=False)
    assert low < worse < high
    assert zero < low
    zero, better, low, high = places(higher_is_better=True)
    assert low < better < high < zero


def test_difference__the_margin__ends_where_its_dashed_line_stands() -> None:
    (plot,) = pictures(
        difference_plot(difference=0.0, interval=(-0.1, 0.1), margin=0.05, higher_is_better=True, words="so")
    )

    shade, end = found(plot, "margin")[0].attrib, float(found(plot, "limit")[0].attrib["x1"])
    assert float(shade["x"]) + float(shade["width"]) == pytest.approx(end, abs=0.1)
    assert end > float(found(plot, "zero")[0].attrib["x1"])


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_difference__nothing_known__zero_alone(unknown: float | None) -> None:
    svg = difference_plot(difference=unknown, interval=None, margin=None, higher_is_better=False, words="not known")

    (plot,) = pictures(svg)
    assert [part.tag for part in plot] == ["title", "line"]
    assert "nan" not in svg


def test_difference__open_interval__goes_to_the_border() -> None:
    (plot,) = pictures(
        difference_plot(difference=0.1, interval=(0.05, math.inf), margin=0.2, higher_is_better=False, words="so")
    )

    assert found(plot, "whisker")[0].get("x2") == "194"


def test_series__panels__below_each_other_on_one_axis_with_marks_through_all() -> None:
    panels = [Panel("P95", [line(1, 2, 3)], lambda ms: f"{ms:g} ms"), Panel("Errors", [line(0, 0, 1)], str)]

    (chart, _) = pictures(
        series_chart(panels, marks=[Mark(at(10), "v1.1 live"), Mark(at(999), "later")], title="t", description="d")
    )

    first, second = found(chart, "line plain")
    assert first.attrib["points"].split()[0].split(",")[0] == second.attrib["points"].split()[0].split(",")[0]
    (mark,) = found(chart, "mark")
    lowest = max(float(pair.split(",")[1]) for pair in second.attrib["points"].split())
    assert float(mark.attrib["y2"]) >= lowest
    assert mark.attrib["x1"] == first.attrib["points"].split()[1].split(",")[0]
    assert {"P95", "Errors", "v1.1 live", "0 ms"} <= set(words(chart))
    assert "later" not in words(chart)


@pytest.mark.parametrize("values", [(None, None), (0.0, 0.0), (5.0,), (1e12, 3e12)])
def test_series__nothing_equal_one_or_huge__no_nan(values: tuple[float | None, ...]) -> None:
    svg = series_chart([Panel("P95", [line(*values)], str)], marks=[], title="t", description="d")

    assert len(pictures(svg)) == 2
    assert "nan" not in svg


def test_series__intervals__a_band_of_each_stretch_and_a_whisker_of_a_point_alone() -> None:
    drawing = replace(line(1, 2, None, 3), bounds=[(0.5, 1.5), (1.5, 2.5), None, (2.5, 3.5)])

    (chart, _) = pictures(series_chart([Panel("tone", [drawing], str)], marks=[], title="t", description="d"))

    (band,) = found(chart, "bounds plain")
    assert len(band.attrib["points"].split()) == 4
    (whisker,) = found(chart, "whisker plain")
    assert whisker.attrib["x1"] == whisker.attrib["x2"]


def test_series__levels__across_their_panel_with_their_names_unless_far_beyond_all_values() -> None:
    levels = [Level("usual", 2.0, "usual"), Level("threshold", 3.0, "limit"), Level("promise", 9.1, "promise")]

    (chart, _) = pictures(series_chart([Panel("P95", [line(1, 3)], str, levels)], marks=[], title="t", description="d"))

    (usual,) = found(chart, "level usual")
    assert usual.attrib["y1"] == usual.attrib["y2"]
    assert float(found(chart, "level limit")[0].attrib["y1"]) < float(usual.attrib["y1"])
    assert {"usual", "threshold"} <= set(words(chart))
    assert not found(chart, "level promise")


def test_series__scores__not_from_zero_and_no_hills_of_noise() -> None:
    def height(*values: float) -> float:
        panel = Panel("faithfulness", [line(*values)], str, from_zero=False)
        (chart, _) = pictures(series_chart([panel], marks=[], title="t", description="d"))
        places = [float(pair.split(",")[1]) for pair in found(chart, "line plain")[0].attrib["points"].split()]
        return max(places) - min(places)

    assert height(0.94, 0.87) > 60
    assert height(0.9400, 0.9401) < 1


def test_series__stretches__shaded_through_all_panels_as_far_as_the_axis_goes() -> None:
    long, short, before = (
        Stretch(at(-50), at(10), "rollout"),
        Stretch(at(5), at(5), "critical"),
        Stretch(at(-9), at(-5), "warning"),
    )

    (chart, _) = pictures(
        series_chart(
            [Panel("P95", [line(1, 2, 3)], str), Panel("Errors", [line(0, 0, 1)], str)],
            marks=[],
            stretches=[long, short, before],
            title="t",
            description="d",
        )
    )

    (rollout,), (alert,) = found(chart, "meanwhile of-rollout"), found(chart, "meanwhile of-critical")
    assert float(rollout.attrib["height"]) > 200
    assert float(alert.attrib["width"]) == 2
    assert not found(chart, "meanwhile of-warning")


def test_series__mark_without_words__a_line_alone() -> None:
    (chart, _) = pictures(
        series_chart([Panel("P95", [line(1, 2, 3)], str)], marks=[Mark(at(10), "")], title="t", description="d")
    )

    assert len(found(chart, "mark")) == 1
    assert "" not in words(chart)


def test_series__no_points__no_chart() -> None:
    assert series_chart([Panel("P95", [], str)], marks=[], title="t", description="d") == ""


def test_bars__on_one_scale_with_their_words_as_text() -> None:
    (listed,) = pictures(
        bar_list(
            [
                Bar("v1.0", 0.02, "2.0 %", interval=(0.01, 0.03)),
                Bar("v1.1", 0.04, "4.0 %", canary=True),
                Bar("v1.2", None, DASH),
            ],
            title="Hallucination rate by version",
        )
    )

    bars = found(listed, "bar") + found(listed, "bar canary")
    assert [float(bar.attrib["width"]) for bar in bars] == [150, 300]
    assert [part.text for part in found(listed, "value")] == ["2.0 %", "4.0 %", DASH]
    assert listed.get("aria-label") == "Hallucination rate by version"


def test_bars__all_zero_or_none__no_nan() -> None:
    assert "nan" not in bar_list([Bar("v1.0", 0.0, "0 %"), Bar("v1.1", math.nan, DASH)], title="t")
    assert pictures(bar_list([], title="t"))


def test_spark__one_range_for_all__so_that_they_can_be_compared() -> None:
    (low,) = pictures(spark([(NINE, 0.0), (at(5), 1.0)], limit=LIMIT, title="far from it"))
    (high,) = pictures(spark([(NINE, 0.0), (at(5), 99.0)], limit=LIMIT, title="over it"))

    assert found(low, "limit")[0].attrib == found(high, "limit")[0].attrib
    limit = float(found(low, "limit")[0].attrib["y1"])
    assert float(found(low, "canary")[0].attrib["cy"]) > limit > float(found(high, "canary")[0].attrib["cy"])
    assert low[0].text == "far from it"


@pytest.mark.parametrize("points", [[], [(NINE, math.nan)]])
def test_spark__nothing_known__the_limit_alone(points: list[tuple[datetime, float]]) -> None:
    (empty,) = pictures(spark(points, limit=LIMIT, title="no evidence yet"))

    assert found(empty, "limit")
    assert not found(empty, "canary")


@pytest.mark.parametrize(("share", "filled"), [(0.0, "0"), (0.25, "75"), (7.0, "300"), (-1.0, "0"), (math.nan, "0")])
def test_meter__share__between_nothing_and_full(share: float, filled: str) -> None:
    (bar,) = pictures(meter(share, words="a quarter is spent"))

    assert found(bar, "fill")[0].get("width") == filled
    assert bar[0].text == "a quarter is spent"

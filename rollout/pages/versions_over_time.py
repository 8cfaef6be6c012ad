"""The part of a prompt's page that is about time: its chart, what was done meanwhile, and the numbers behind it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from observability.models import Objective
from observability.selectors.alerts import held_between
from observability.selectors.baselines import baselines
from observability.selectors.over_time import Part, lately_by_bucket
from registry.models import LabelMove, Prompt, PromptVersion
from registry.rights import PRODUCTION
from rollout.formats import count, moment
from rollout.models import Rollout
from rollout.pages import version_chart
from rollout.pages.version_levels import Levels, levels_of
from rollout.pages.version_marks import Doings, Happening, happenings, marks_of, stretches_of
from rollout.pages.versions_parts import VERSIONS_SHOWN, Track
from rollout.pages.windows import Axis, Window, lately

ALERTS_READ = 40
HAPPENINGS_SHOWN = 12

Tracks = Callable[[Iterable[Part]], Sequence[Track]]


@dataclass(frozen=True, slots=True)
class HappeningRow:
    at: SafeString
    told: Happening


@dataclass(frozen=True, slots=True)
class OverTime:
    """pace: what a point is of; by_minutes: whether five. held_against: the label whose baselines and objectives are
    drawn, or empty."""

    chart: SafeString
    pace: str
    by_minutes: bool
    held_against: str
    numbers: version_chart.Numbers
    happenings: Sequence[HappeningRow]
    more: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page was asked for. by_minutes: of the last hours, in steps of five minutes; None: if that is all there
    is."""

    prompt: Prompt
    label: str
    window: Window
    by_minutes: bool | None
    to_person: bool


def over_time(
    asked: Asked,
    tracks: Sequence[Track],
    *,
    of_parts: Tracks,
    versions: Iterable[PromptVersion],
    moves: Sequence[LabelMove],
    rollouts: Sequence[Rollout],
    promised: Iterable[Objective],
    now: datetime,
) -> OverTime:
    """tracks: of the window's steps. of_parts: what tracks are made with, of what the label and environment have."""
    axis, minutes = asked.window.axis, lately(now)
    if asked.by_minutes or (asked.by_minutes is None and _all_is_new(tracks, minutes)):
        lately_ = of_parts(lately_by_bucket(prompt=asked.prompt.name, since=minutes.since, until=minutes.until))
        if asked.by_minutes or any(track.steps for track in lately_):
            axis, tracks = minutes, lately_
    tracks, minutes_shown = tracks[:VERSIONS_SHOWN], axis == minutes
    doings = _doings(asked, axis, versions, moves, rollouts)
    marks = marks_of(axis, doings)
    told = happenings(axis, doings, now, to_person=asked.to_person)
    against, levels = _levels(asked, promised, now)
    if any(track.steps for track in tracks):
        axis = version_chart.from_the_first(tracks, marks, axis)
    shown = version_chart.panels(tracks, axis, levels=levels, now=now)
    return OverTime(
        chart=version_chart.chart(shown, axis, marks=marks, stretches=stretches_of(axis, doings)),
        pace=version_chart.pace_words(axis),
        by_minutes=minutes_shown,
        held_against=against if levels else "",
        numbers=version_chart.numbers(shown, now),
        happenings=[HappeningRow(moment(each.since, now), each) for each in told[:HAPPENINGS_SHOWN]],
        more=count(len(told) - HAPPENINGS_SHOWN) if len(told) > HAPPENINGS_SHOWN else "",
    )


def _all_is_new(tracks: Sequence[Track], minutes: Axis) -> bool:
    starts = [start for track in tracks for start in track.steps]
    return bool(starts) and min(starts) >= minutes.since


def _levels(asked: Asked, promised: Iterable[Objective], now: datetime) -> tuple[str, Levels]:
    """Of the label that is asked for, or else of production."""
    label = asked.label or PRODUCTION
    of_label = [objective for objective in promised if objective.active and objective.label == label]
    return label, levels_of(baselines((asked.prompt.name, label), now), of_label)


def _doings(
    asked: Asked,
    axis: Axis,
    versions: Iterable[PromptVersion],
    moves: Sequence[LabelMove],
    rollouts: Sequence[Rollout],
) -> Doings:
    """Of one label, where one is asked for; versions are of none, and so are some alerts."""
    label = asked.label
    return Doings(
        versions=[version for version in versions if version.published_at >= axis.since],
        moves=[move for move in moves if label in ("", move.label.name)],
        rollouts=[rollout for rollout in rollouts if label in ("", rollout.label.name)],
        alerts=[
            alert
            for alert in held_between(asked.prompt.name, axis.since, axis.until)[:ALERTS_READ]
            if not label or alert.label in ("", label)
        ],
    )

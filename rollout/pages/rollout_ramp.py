"""The steps of a rollout as they really happened, and those that its plan still has."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from django.utils.html import format_html
from django.utils.safestring import SafeString

from rollout.charts import Band
from rollout.core.plan import Plan
from rollout.formats import duration, moment, weight
from rollout.models import Rollout, Transition


@dataclass(frozen=True, slots=True)
class Stay:
    """The time that the canary had a weight. until: None while it still has it."""

    step: int
    weight_bp: int
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Rung:
    """A step of the ladder with its times. place: done, now or ahead."""

    weight: str
    times: SafeString
    place: str


def stays(changes: Sequence[Transition]) -> list[Stay]:
    """changes: the transitions that changed the weight, the oldest first."""
    ends = [(change, after.happened_at) for change, after in pairwise(changes)]
    last = [(change, None) for change in changes[-1:]]
    return [
        Stay(change.step, change.to_weight_bp, change.happened_at, until)
        for change, until in [*ends, *last]
        if change.to_weight_bp
    ]


def rungs(rollout: Rollout, stays: Sequence[Stay], now: datetime) -> list[Rung]:
    of_step = {stay.step: stay for stay in stays}
    return [
        _rung(weight(step.weight_bp), of_step.get(number), step.hold_s, now, over=rollout.ended_at is not None)
        for number, step in enumerate(Plan.from_json(rollout.plan).steps)
    ]


def bands(stays: Sequence[Stay], until: datetime) -> list[Band]:
    """until: when the last one ends if it has not."""
    return [Band(weight(stay.weight_bp), stay.since, stay.until or max(until, stay.since)) for stay in stays]


def _rung(share: str, stay: Stay | None, hold_s: int, now: datetime, *, over: bool) -> Rung:
    if stay is None:
        return Rung(share, SafeString("not reached") if over else format_html("at least {}", duration(hold_s)), "ahead")
    since = moment(stay.since, now)
    if stay.until is None:
        return Rung(share, format_html("since {}, at least {}", since, duration(hold_s)), "now")
    return Rung(share, format_html("{} from {}", duration((stay.until - stay.since).total_seconds()), since), "done")

"""What was done to a prompt and what was wrong with it meanwhile: marks and shades of its chart, and the same in words.

Who has not logged in reads of what kind an alert was, as on the page of events.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse

from observability.models import Alert, AlertKind, Severity
from registry.models import LabelMove, PromptVersion
from rollout.charts import Mark, Stretch
from rollout.formats import duration
from rollout.models import Rollout, Status
from rollout.pages.alerts_words import WORDS
from rollout.pages.windows import Axis
from rollout.wording import State, who

ENDS = {Status.PROMOTED: "promoted", Status.ROLLED_BACK: "rolled back", Status.CANCELLED: "cancelled"}
SHORT = {
    AlertKind.BASELINE: "baseline",
    AlertKind.OBJECTIVE: "objective",
    AlertKind.SPEND_BUDGET: "budget",
    AlertKind.SPEND_ANOMALY: "spend",
    AlertKind.JUDGE_DRIFT: "judge drift",
    AlertKind.JUDGE_FAILING: "judge fails",
    AlertKind.JUDGING_BUDGET: "judging budget",
}
WORDED = 8  # marks, the newest: more words than that would be over the chart in a heap
ONE_TRANSACTION = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Doings:
    """Of a prompt, each newest first: everything that may be marked. rollouts: with both versions and the label."""

    versions: Sequence[PromptVersion]
    moves: Sequence[LabelMove]
    rollouts: Sequence[Rollout]
    alerts: Sequence[Alert]


@dataclass(frozen=True, slots=True)
class Happening:
    """In a line. until: of a moment the same, of what still holds the present. link: empty for none."""

    since: datetime
    until: datetime
    words: str
    state: State | None = None
    link: str = ""


def marks_of(axis: Axis, doings: Doings) -> list[Mark]:
    """Versions published, labels moved (but for those that a promotion moved), rollouts begun and ended, alerts fired,
    in order. Only the last ones have their words."""
    found = [
        *(Mark(version.published_at, f"{version.number} published") for version in doings.versions),
        *(mark for rollout in doings.rollouts for mark in _of_rollout(rollout)),
        *(Mark(move.moved_at, f"{move.label.name} {move.to_version.number}") for move in _moved(doings)),
        *(Mark(alert.fired_at, f"alert: {SHORT[AlertKind(alert.kind)]}") for alert in doings.alerts),
    ]
    inside = sorted((mark for mark in found if axis.since <= mark.at <= axis.until), key=lambda mark: mark.at)
    return [*(Mark(mark.at, "", mark.canary) for mark in inside[:-WORDED]), *inside[-WORDED:]]


def stretches_of(axis: Axis, doings: Doings) -> list[Stretch]:
    """Rollouts from start to end and alerts from fired to resolved, these over those."""
    rollouts = [
        Stretch(rollout.started_at, rollout.ended_at or axis.until, "rollout")
        for rollout in doings.rollouts
        if rollout.started_at
    ]
    alerts = [
        Stretch(
            alert.fired_at,
            alert.resolved_at or axis.until,
            "critical" if alert.severity == Severity.CRITICAL else "warning",
        )
        for alert in doings.alerts
    ]
    inside = [each for each in (*rollouts, *alerts) if each.until >= axis.since]
    return [each for each in inside if each.since <= axis.until]


def happenings(axis: Axis, doings: Doings, now: datetime, *, to_person: bool) -> list[Happening]:
    """All that is marked and shaded, the newest first."""
    found = [
        *(_publishing(each) for each in doings.versions),
        *(_moving(each) for each in _moved(doings)),
        *(_rolling(each, now) for each in doings.rollouts if each.started_at),
        *(_alerting(each, now, to_person=to_person) for each in doings.alerts),
    ]
    inside = [each for each in found if each.since <= axis.until and each.until >= axis.since]
    return sorted(inside, key=lambda each: each.since, reverse=True)


def _moved(doings: Doings) -> Iterator[LabelMove]:
    return (each for each in doings.moves if not any(_is_promotion(each, rollout) for rollout in doings.rollouts))


def _of_rollout(rollout: Rollout) -> Iterable[Mark]:
    canary = rollout.canary.number
    if rollout.started_at:
        yield Mark(rollout.started_at, f"{canary} starts", canary=True)
    if rollout.started_at and rollout.ended_at:
        yield Mark(rollout.ended_at, f"{canary} {ENDS[Status(rollout.status)]}", canary=True)


def _publishing(version: PromptVersion) -> Happening:
    return Happening(version.published_at, version.published_at, f"{version.number} was published")


def _moving(move: LabelMove) -> Happening:
    moved = f"moved from {move.from_version.number}" if move.from_version else "set"
    words = f"{move.label.name} was {moved} to {move.to_version.number}, by {who(move.actor)}"
    return Happening(move.moved_at, move.moved_at, words)


def _rolling(rollout: Rollout, now: datetime) -> Happening:
    since, until = rollout.started_at or now, rollout.ended_at or now
    took = duration((until - since).total_seconds())
    ended = f"{ENDS[Status(rollout.status)]} after {took}" if rollout.ended_at else f"running for {took}"
    words = f"{rollout.control.number} → {rollout.canary.number} on {rollout.label.name}, {ended}"
    return Happening(since, until, words, link=reverse("rollout_page", args=[rollout.pk]))


def _alerting(alert: Alert, now: datetime, *, to_person: bool) -> Happening:
    until = alert.resolved_at or now
    held = duration((until - alert.fired_at).total_seconds())
    icon = "harm" if alert.severity == Severity.CRITICAL else "held"
    state = State("safe", f"Resolved after {held}") if alert.resolved_at else State(icon, f"Open for {held}")
    words = alert.summary if to_person else f"An alert: {WORDS[AlertKind(alert.kind)].title}"
    link = reverse("alert_page", args=[alert.pk]) if to_person else ""
    return Happening(alert.fired_at, until, words, state, link)


def _is_promotion(move: LabelMove, rollout: Rollout) -> bool:
    """Whether the move is what the rollout ended with."""
    return (
        rollout.status == Status.PROMOTED
        and rollout.ended_at is not None
        and (rollout.label_id, rollout.canary_id) == (move.label_id, move.to_version_id)
        and abs(rollout.ended_at - move.moved_at) < ONE_TRANSACTION
    )

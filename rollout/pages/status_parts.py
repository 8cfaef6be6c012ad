"""A rollout at a glance and in a line: values ready to be printed, so that the templates only place them."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from rollout import wording
from rollout.core.plan import Plan
from rollout.formats import count, duration, moment, weight
from rollout.models import Rollout, Transition
from rollout.wording import State


@dataclass(frozen=True, slots=True)
class Rung:
    """A step of the ladder. place: done, now or ahead."""

    weight: str
    hold: str
    place: str


@dataclass(frozen=True, slots=True)
class Card:
    """A rollout at a glance."""

    rollout: Rollout
    state: State
    sentence: SafeString
    missing: list[str]
    ladder: list[Rung]
    weight: str
    age: str


@dataclass(frozen=True, slots=True)
class End:
    """A line about a rollout that ended."""

    rollout: Rollout
    state: State
    why: str
    calls: str
    took: str
    at: SafeString


def card(rollout: Rollout, last: Transition | None, now: datetime) -> Card:
    return Card(
        rollout,
        state=wording.state_of(rollout),
        sentence=wording.sentence(rollout, last, now),
        missing=wording.missing(rollout, last),
        ladder=ladder(rollout),
        weight=weight(rollout.weight_bp),
        age=duration((now - (rollout.started_at or rollout.created_at)).total_seconds()),
    )


def ladder(rollout: Rollout) -> list[Rung]:
    """The plan's steps: those before the present one done; of an ended rollout the last it was on as well."""
    done = rollout.step if rollout.active or rollout.started_at is None else rollout.step + 1
    places = ["done"] * done + (["now"] if rollout.active else [])
    steps = Plan.from_json(rollout.plan).steps
    places += ["ahead"] * (len(steps) - len(places))
    return [
        Rung(weight(step.weight_bp), duration(step.hold_s), place) for step, place in zip(steps, places, strict=True)
    ]


def end(rollout: Rollout, last: Transition, now: datetime) -> End:
    return End(
        rollout,
        state=wording.state_of(rollout),
        why=wording.why(last),
        calls=count(wording.canary_calls(rollout.verdict)),
        took=wording.took(rollout),
        at=moment(last.happened_at, now),
    )

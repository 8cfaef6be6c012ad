"""A rollout at a glance and in a line: values ready to be printed, so that the templates only place them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.utils.safestring import SafeString

from rollout import wording
from rollout.charts import spark
from rollout.core.course import points
from rollout.core.plan import Plan
from rollout.formats import count, duration, moment, weight
from rollout.models import Rollout, Transition
from rollout.wording import State

SHOWN_AT_ONCE = 12
GROUPS = ("Held", "Evidence of harm", "No harm found yet", "Proven safe", wording.NO_EVIDENCE.words)
WORRYING = math.log(3.0)  # from here on no step is left (core.verdict)
NOT_PROVEN = " is not proven safe yet."  # the end of core.verdict's sentence


@dataclass(frozen=True, slots=True)
class Rung:
    """A step of the ladder. place: done, now or ahead."""

    weight: str
    hold: str
    place: str


@dataclass(frozen=True)
class Card:
    """A rollout at a glance. last: its newest transition, None before its start. Of many rollouts not everything is
    shown, so each part is made when it is asked for."""

    rollout: Rollout
    last: Transition | None
    now: datetime

    @cached_property
    def state(self) -> State:
        return wording.state_of(self.rollout)

    @cached_property
    def sentence(self) -> SafeString:
        return wording.sentence(self.rollout, self.last, self.now)

    @cached_property
    def needs(self) -> str:
        """How many calls the proof takes, or empty."""
        return wording.needs(self.rollout, self.now)

    @cached_property
    def missing(self) -> list[str]:
        """What else is waited for."""
        reasons = wording.missing(self.rollout, self.last)
        return [reason for reason in reasons if not (self.needs and reason.endswith(NOT_PROVEN))]

    @cached_property
    def ladder(self) -> list[Rung]:
        return ladder(self.rollout)

    @cached_property
    def course(self) -> SafeString:
        """The evidence of harm against its limit, as a picture; empty before there is any."""
        if not self.rollout.course:
            return SafeString("")
        limit = -math.log(self.rollout.plan["alpha"])
        return spark(points(self.rollout.course), limit=limit, title=wording.evidence_of_harm(self.rollout))

    @property
    def weight(self) -> str:
        return weight(self.rollout.weight_bp)

    @property
    def age(self) -> str:
        since = self.rollout.started_at or self.rollout.created_at
        return duration((self.now - since).total_seconds())


@dataclass(frozen=True, slots=True)
class Group:
    """Active rollouts of which the same is true. words: what, or empty when there are so few that all are shown.

    open: what needs somebody, or is short; dense: of many each in a line; level: of the headings of each.
    """

    words: str
    cards: list[Card]

    @property
    def dense(self) -> bool:
        return len(self.cards) > SHOWN_AT_ONCE

    @property
    def open(self) -> bool:
        return self.words in GROUPS[:2] or not self.dense

    @property
    def level(self) -> int:
        return 4 if self.words else 3


@dataclass(frozen=True, slots=True)
class End:
    """A line about a rollout that ended."""

    rollout: Rollout
    state: State
    why: str
    calls: str
    took: str
    at: SafeString


def grouped(cards: Sequence[Card]) -> list[Group]:
    """Few as they come; of many those first that need somebody, and in each group those nearest to harm."""
    if len(cards) <= SHOWN_AT_ONCE:
        return [Group("", list(cards))] if cards else []
    groups: dict[str, list[Card]] = {words: [] for words in GROUPS}
    for each in sorted(cards, key=lambda card: -_log_e(card.rollout)):
        groups[_group_of(each)].append(each)
    return [Group(words, of_group) for words, of_group in groups.items() if of_group]


def ladder(rollout: Rollout) -> list[Rung]:
    """The plan's steps: those before the present one done; of an ended rollout the last it was on as well."""
    done = rollout.step if rollout.active or rollout.started_at is None else rollout.step + 1
    places = ["done"] * done + (["now"] if rollout.active else [])
    steps = Plan.from_json(rollout.plan).steps
    places += ["ahead"] * (len(steps) - len(places))
    return [
        Rung(weight(step.weight_bp), duration(step.hold_s), place) for step, place in zip(steps, places, strict=True)
    ]


def _group_of(card: Card) -> str:
    if card.state.icon in ("harm", "held"):
        return GROUPS[0]
    if _log_e(card.rollout) >= WORRYING:
        return GROUPS[1]
    if card.state.icon == "safe":
        return GROUPS[3]
    return GROUPS[4] if card.state == wording.NO_EVIDENCE else GROUPS[2]


def _log_e(rollout: Rollout) -> float:
    return float(rollout.verdict.body["log_e_harm"]) if rollout.verdict else 0.0


def _calls(rollout: Rollout) -> str:
    """`523`, or `52 judged` where no others were counted."""
    calls = wording.canary_calls(rollout.verdict)
    return f"{count(calls)} {wording.judged(rollout)}".rstrip() if calls else count(calls)


def end(rollout: Rollout, last: Transition, now: datetime) -> End:
    return End(
        rollout,
        state=wording.state_of(rollout),
        why=wording.why(last),
        calls=_calls(rollout),
        took=wording.took(rollout),
        at=moment(last.happened_at, now),
    )

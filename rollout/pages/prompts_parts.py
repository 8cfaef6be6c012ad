"""A prompt in a line: values ready to be printed, so that the template only places them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.safestring import SafeString

from observability.core.figures import Figures, ScoreKey, ScoreSums, mean_with_interval, only_zero_or_one
from observability.selectors.over_time import Part
from registry.models import Prompt
from registry.rights import PRODUCTION
from rollout import wording
from rollout.core.plan import usual_direction
from rollout.formats import DASH, count, difference, estimate, moment, money
from rollout.models import Rollout
from rollout.wording import State


@dataclass(slots=True)
class Weeks:
    """A prompt's figures of the last seven days and of the seven before."""

    last: Figures = field(default_factory=Figures)
    before: Figures = field(default_factory=Figures)


@dataclass(frozen=True, slots=True)
class Change:
    """A score that got worse from one week to the next. clear: the intervals of the two means do not touch."""

    name: str
    words: str
    state: State


@dataclass(frozen=True, slots=True)
class Active:
    id: str
    words: str
    state: State


@dataclass(frozen=True, slots=True)
class PromptRow:
    name: str
    production: str
    rollouts: list[Active]
    calls: str
    error_rate: str
    cost: str
    worst: Change | None
    archived: SafeString | None


def weeks(parts: Iterable[Part], *, since: datetime) -> Mapping[str, Weeks]:
    """By prompt. since: when the last week began."""
    found: defaultdict[str, Weeks] = defaultdict(Weeks)
    for start, key, figures in parts:
        of_prompt = found[key.prompt_name or ""]
        (of_prompt.last if start >= since else of_prompt.before).add(figures)
    return found


def prompt_row(prompt: Prompt, active: Sequence[Rollout], by_prompt: Mapping[str, Weeks], now: datetime) -> PromptRow:
    of_prompt = by_prompt.get(prompt.name, Weeks())
    last = of_prompt.last
    production = next((label.version.number for label in prompt.labels.all() if label.name == PRODUCTION), DASH)
    return PromptRow(
        name=prompt.name,
        production=production,
        rollouts=[
            Active(rollout.pk, f"{rollout.canary.number} on {rollout.label.name}", wording.state_of(rollout))
            for rollout in active
            if rollout.prompt_id == prompt.pk
        ],
        calls=count(last.calls),
        error_rate=estimate(last.errors.total() / last.calls, "share") if last.calls else DASH,
        cost=money(float(last.cost_usd) if last.priced else None),
        worst=worst_change(of_prompt),
        archived=moment(prompt.archived_at, now) if prompt.archived_at else None,
    )


def worst_change(of_prompt: Weeks) -> Change | None:
    """Of the scores that got worse the one that did most, where both weeks have some."""
    worse = sorted(_worsenings(of_prompt), key=lambda found: -found[0])
    if not worse:
        return None
    _, (name, _), before, last = worse[0]
    unit = "share" if only_zero_or_one(before) and only_zero_or_one(last) else "score"
    was, *old = mean_with_interval(before)
    mean, *new = mean_with_interval(last)
    apart = max(old[0], new[0]) > min(old[1], new[1])
    words = f"{difference(mean - was, unit)} to {estimate(mean, unit)}"
    return Change(name, words, State("harm", "clearly worse") if apart else State("open", "may be chance"))


def _worsenings(of_prompt: Weeks) -> Iterator[tuple[float, ScoreKey, ScoreSums, ScoreSums]]:
    for key in of_prompt.last.scores.keys() & of_prompt.before.scores.keys():
        before, last = of_prompt.before.scores[key], of_prompt.last.scores[key]
        change = last.mean - before.mean
        worse_by = change if usual_direction(key[0]) == "lower" else -change
        if worse_by > 0:
            yield worse_by, key, before, last

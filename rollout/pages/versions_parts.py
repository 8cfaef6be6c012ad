"""What the page of a prompt shows, part by part: values ready to be printed, so that the template only places them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import QuerySet
from django.utils.safestring import SafeString

from observability.core.evidence import LATENCY, TTFT
from observability.core.figures import (
    Figures,
    ScoreKey,
    ScoreSums,
    mean_with_interval,
    only_zero_or_one,
    percentile,
)
from observability.selectors.hours import VersionKey
from observability.selectors.over_time import Part
from registry.models import Label, LabelMove, PromptVersion
from registry.rights import PRODUCTION
from rollout import wording
from rollout.charts import Bar, bar_list
from rollout.core.plan import usual_direction
from rollout.formats import DASH, between, count, estimate, milliseconds, moment, money, weight
from rollout.models import Rollout, Transition
from rollout.wording import State

Moves = QuerySet[LabelMove]
SHARES = (50, 95, 99)
VERSIONS_SHOWN = 12
SCORES_SHOWN = 12
RATES_SHOWN = 4
UNNAMED = "no version named"


@dataclass(slots=True)
class Track:
    """A version with what came of it. version: None where no such version exists. canary: of a rollout that is active.
    total: over all steps; steps: by their starts."""

    name: str
    version: PromptVersion | None
    labels: list[str]
    canary: bool
    total: Figures = field(default_factory=Figures)
    steps: dict[datetime, Figures] = field(default_factory=dict)

    @property
    def production(self) -> bool:
        return PRODUCTION in self.labels


@dataclass(frozen=True, slots=True)
class VersionRow:
    """id: of the version in the admin, or None."""

    name: str
    id: int | None
    labels: str
    canary: bool
    calls: str
    error_rate: str
    error_interval: str
    ttft: list[str]
    latency: list[str]
    speed: str
    cache: str
    cost: str


@dataclass(frozen=True, slots=True)
class Mean:
    words: str
    interval: str
    n: str


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A score with its mean for each version, in their order."""

    name: str
    about: str
    means: list[tuple[str, bool, Mean | None]]


@dataclass(frozen=True, slots=True)
class ActiveRow:
    id: str
    versions: str
    label: str
    share: str
    state: State
    sentence: SafeString


@dataclass(frozen=True, slots=True)
class LabelRow:
    name: str
    version: str
    since: SafeString
    held_by: str


@dataclass(frozen=True, slots=True)
class MoveRow:
    at: SafeString
    words: str


@dataclass(frozen=True, slots=True)
class RolloutRow:
    id: str
    versions: str
    label: str
    state: State
    at: SafeString


def asked_for(key: VersionKey, label: str, environment: str) -> bool:
    return label in ("", key.label) and environment in ("", key.environment)


def values(read: Iterable[Part], name: str) -> list[str]:
    """What there is to choose from."""
    return sorted({value for part in read if (value := getattr(part.key, name))})


def tracks(
    read: Iterable[Part],
    *,
    numbers: Mapping[int, PromptVersion],
    labels: Sequence[Label],
    active: Sequence[Rollout],
) -> list[Track]:
    """The versions with calls and those that labels point at or rollouts roll out: the most calls first."""
    canaries = {rollout.canary_id for rollout in active}
    at_label: defaultdict[int, list[str]] = defaultdict(list)
    for label in labels:
        at_label[label.version_id].append(label.name)
    found: dict[tuple[int | None, str | None], Track] = {}
    for version_id in [*at_label, *canaries]:
        found[version_id, None] = _track(version_id, None, numbers, at_label, canaries)
    for start, key, figures in read:
        named = key.version_id, key.version_text
        if named not in found:
            found[named] = _track(*named, numbers, at_label, canaries)
        found[named].total.add(figures)
        found[named].steps.setdefault(start, Figures()).add(figures)
    return sorted(found.values(), key=lambda track: (not track.canary, not track.production, -track.total.calls))


def headline(
    found: Sequence[Track], labels: Sequence[Label], days: int, *, label: str = "", environment: str = ""
) -> str:
    """What production is, and how much the prompt is used, in all versions. label, environment: what was asked for."""
    production = next((label.version.number for label in labels if label.name == PRODUCTION), None)
    served = f"Production serves {production}" if production else "No version is in production"
    calls = sum(track.total.calls for track in found)
    when = "the last 24 hours" if days == 1 else f"the last {days} days"
    when += f" for the label {label}" if label else ""
    when += f" in the environment {environment}" if environment else ""
    if not calls:
        return f"{served}; no call came in {when}."
    errors = sum(track.total.errors.total() for track in found)
    came = f"{count(calls)} {'call' if calls == 1 else 'calls'} in {when}"
    return f"{served}; {came}, {estimate(errors / calls, 'share')} of them failed."


def active_row(rollout: Rollout, last: Transition | None, now: datetime) -> ActiveRow:
    return ActiveRow(
        id=rollout.pk,
        versions=f"{rollout.control.number} → {rollout.canary.number}",
        label=rollout.label.name,
        share=weight(rollout.weight_bp),
        state=wording.state_of(rollout),
        sentence=wording.sentence(rollout, last, now),
    )


def version_row(track: Track) -> VersionRow:
    figures = track.total
    rate = mean_with_interval(_failures(figures)) if figures.calls else None
    return VersionRow(
        name=track.name,
        id=track.version.pk if track.version else None,
        labels=", ".join(track.labels),
        canary=track.canary,
        calls=count(figures.calls),
        error_rate=estimate(rate[0], "share") if rate else DASH,
        error_interval=between(rate[1:], "share") if rate else "",
        ttft=[milliseconds(percentile(figures.ttft, share / 100, TTFT)) for share in SHARES],
        latency=[milliseconds(percentile(figures.latency, share / 100, LATENCY)) for share in SHARES],
        speed=f"{1000 * figures.timed_tokens / figures.timed_ms:.0f}" if figures.timed_ms else DASH,
        cache=estimate(hit_rate(figures), "share"),
        cost=money(cost_per_call(figures)),
    )


def score_tables(found: Sequence[Track]) -> list[ScoreRow]:
    """Every score that was given, the ones that are given most first."""
    return [
        ScoreRow(
            name=name,
            about=f"by {source}, {usual_direction(name)} is better",
            means=[(track.name, track.canary, mean_of(track, (name, source))) for track in found],
        )
        for name, source in score_keys(found)[:SCORES_SHOWN]
    ]


def score_keys(found: Sequence[Track]) -> list[ScoreKey]:
    given: defaultdict[ScoreKey, int] = defaultdict(int)
    for track in found:
        for key, sums in track.total.scores.items():
            given[key] += sums.n
    return sorted(given, key=lambda key: (-given[key], key))


def mean_of(track: Track, key: ScoreKey) -> Mean | None:
    sums = track.total.scores.get(key)
    if sums is None:
        return None
    mean, low, high = mean_with_interval(sums)
    unit = unit_of(sums)
    return Mean(estimate(mean, unit), between((low, high), unit), f"n {number_of(sums)}")


def unit_of(sums: ScoreSums) -> str:
    """Scores that are all 0 or 1 are told as a share."""
    return "share" if only_zero_or_one(sums) else "score"


def number_of(sums: ScoreSums) -> str:
    """How many scores, and where some stand for more calls than others how many equal ones tell as much."""
    return f"{count(sums.n)}, worth {count(round(sums.effective_n))}" if sums.is_weighted else count(sums.n)


def rate_bars(found: Sequence[Track]) -> list[tuple[str, SafeString]]:
    """(name, bars by version) of the rates that are better when they are lower: what goes wrong, and where."""
    wrong = [
        key
        for key in score_keys(found)
        if usual_direction(key[0]) == "lower"
        and all(only_zero_or_one(track.total.scores[key]) for track in found if key in track.total.scores)
    ]
    return [
        (f"{name} by {source}", bar_list([_bar(track, (name, source)) for track in found], title=f"{name} by version"))
        for name, source in wrong[:RATES_SHOWN]
    ]


def label_row(label: Label, moves: Sequence[LabelMove], now: datetime) -> LabelRow:
    return LabelRow(label.name, label.version.number, moment(label.updated_at, now), label.held_by)


def move_row(move: LabelMove, now: datetime) -> MoveRow:
    before = f"from {move.from_version.number} " if move.from_version else ""
    words = f"{move.label.name} {before}to {move.to_version.number}, by {wording.who(move.actor)}"
    return MoveRow(moment(move.moved_at, now), words)


def rollout_row(rollout: Rollout, now: datetime) -> RolloutRow:
    return RolloutRow(
        id=rollout.pk,
        versions=f"{rollout.control.number} → {rollout.canary.number}",
        label=rollout.label.name,
        state=wording.state_of(rollout),
        at=moment(rollout.ended_at or rollout.started_at or rollout.created_at, now),
    )


def to_roll_out(versions: Collection[PromptVersion], labels: Sequence[Label]) -> str | None:
    """The newest version, unless production serves it or there is no production to take it from."""
    newest = max(versions, key=lambda version: version.ordinal, default=None)
    production = next((label.version_id for label in labels if label.name == PRODUCTION), None)
    return newest.number if newest and production and newest.pk != production else None


def cost_per_call(figures: Figures) -> float | None:
    return float(figures.cost_usd) / figures.priced if figures.priced else None


def hit_rate(figures: Figures) -> float | None:
    """Of the calls whose provider tells how many of their input tokens came from its cache."""
    return min(figures.told_cached_tokens / figures.told_tokens, 1.0) if figures.told_tokens else None


def _track(
    version_id: int | None,
    text: str | None,
    numbers: Mapping[int, PromptVersion],
    at_label: Mapping[int, list[str]],
    canaries: Collection[int],
) -> Track:
    version = numbers.get(version_id) if version_id else None
    name = version.number if version else f"{text} (unknown)" if text else UNNAMED
    return Track(name, version, sorted(at_label.get(version_id or 0, [])), version_id in canaries)


def _failures(figures: Figures) -> ScoreSums:
    failed = figures.errors.total()
    return ScoreSums(figures.calls, failed, failed)


def _bar(track: Track, key: ScoreKey) -> Bar:
    sums = track.total.scores.get(key)
    if sums is None:
        return Bar(track.name, None, "none given", canary=track.canary)
    mean, low, high = mean_with_interval(sums)
    words = f"{estimate(mean, 'share')} ({between((low, high), 'share')}), n {number_of(sums)}"
    return Bar(track.name, mean, words, (low, high), canary=track.canary)

"""What is made of a version: the labels that point at it, its rollouts, and how its calls did in the last 7 days."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import OuterRef, Q, Subquery
from django.utils.safestring import SafeString

from common.clock import now
from observability.core.figures import Figures, mean_with_interval
from observability.selectors.hours import HOUR, hour_of
from observability.selectors.metrics import TOTAL, VERSION, version_metrics
from registry.models import Label, LabelMove, PromptVersion
from rollout import wording
from rollout.formats import DASH, between, count, estimate, moment, money, weight
from rollout.models import Rollout
from rollout.pages.versions_parts import cost_per_call, number_of, unit_of
from rollout.selectors import rollouts

LATELY = timedelta(days=7)
ROLLOUTS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Pointing:
    """A label that points at the version."""

    label: Label
    since: SafeString


@dataclass(frozen=True, slots=True)
class Part:
    """A rollout that the version has, or had, a part in. arm: which one."""

    rollout: Rollout
    arm: str
    state: str
    weight: str
    began: SafeString | str


@dataclass(frozen=True, slots=True)
class ScoreFigure:
    name: str
    source: str
    mean: str
    n: str


@dataclass(frozen=True, slots=True)
class Usage:
    """more: whether there are older rollouts than these."""

    labels: list[Pointing]
    rollouts: list[Part]
    more: bool
    calls: str
    error_rate: str
    cost: str
    scores: list[ScoreFigure]


def usage_of(version: PromptVersion) -> Usage:
    at = now()
    newest = list(rollouts().filter(Q(canary=version) | Q(control=version))[: ROLLOUTS_SHOWN + 1])
    figures = _figures(version, at)
    return Usage(
        labels=_pointing(version, at),
        rollouts=[_part(rollout, version, at) for rollout in newest[:ROLLOUTS_SHOWN]],
        more=len(newest) > ROLLOUTS_SHOWN,
        calls=count(figures.calls),
        error_rate=estimate(figures.errors.total() / figures.calls if figures.calls else None, "share"),
        cost=money(cost_per_call(figures)),
        scores=_scores(figures),
    )


def _pointing(version: PromptVersion, at: datetime) -> list[Pointing]:
    newest = LabelMove.objects.filter(label=OuterRef("pk")).order_by("-id").values("moved_at")[:1]
    labels = version.labels.annotate(since=Subquery(newest)).order_by("name")
    return [Pointing(label, moment(label.since, at)) for label in labels]


def _part(rollout: Rollout, version: PromptVersion, at: datetime) -> Part:
    return Part(
        rollout,
        "canary" if rollout.canary_id == version.pk else "control",
        wording.state_of(rollout).words,
        weight(rollout.weight_bp) if rollout.active else DASH,
        moment(rollout.started_at, at) if rollout.started_at else DASH,
    )


def _figures(version: PromptVersion, at: datetime) -> Figures:
    until = hour_of(at) + HOUR
    found = version_metrics(
        since=until - LATELY, until=until, by=(VERSION,), interval=TOTAL, prompt=version.prompt.name
    )
    sums = Figures()
    for group, figures in found:
        if group.key.version_id == version.pk:
            sums.add(figures)
    return sums


def _scores(figures: Figures) -> list[ScoreFigure]:
    return [_score(name, source, figures) for name, source in sorted(figures.scores)]


def _score(name: str, source: str, figures: Figures) -> ScoreFigure:
    sums = figures.scores[name, source]
    mean, low, high = mean_with_interval(sums)
    unit = unit_of(sums)
    words = f"{estimate(mean, unit)} ({between((low, high), unit)})"
    return ScoreFigure(name, source, words, number_of(sums))

"""How good the data is: what was refused, and what was taken but cannot be used for all that it should be."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Sum

from observability.core.figures import Figures
from observability.models import Call, Dimension, ExposureHour, Refused, RefusedHour, Score
from observability.selectors.hours import Exposed, ExposureKey, Spending, exposed
from observability.selectors.metrics import VERSION, version_metrics
from observability.selectors.rolled import hours_between
from observability.selectors.spend import spent_by_value

Named = tuple[str, str]  # a prompt's name and a version, as sent


@dataclass(frozen=True, slots=True)
class Quality:
    """Of the LLM calls of a range, but for what is said otherwise.

    refused: kind → reason → how many, by when they came. calls: all of them. without_prompt, without_version: that name
    no prompt; a prompt, but no version. unknown_versions: that name a version which does not exist. streams: answered
    calls with a time to first token; ttft_is_total: of these those whose first of several tokens came with the last.
    merged: calls that several spans tell of. unpriced: model → what calls without a known cost spent, embeddings too.
    held_attempts: failed attempts that wait for another one, at this moment. scores_waiting, scores_given_up: of any
    call, received in the range, that have found none yet or will find none.
    """

    refused: Mapping[str, Mapping[str, int]]
    calls: int
    without_prompt: int
    without_version: int
    unknown_versions: Counter[Named]
    streams: int
    ttft_is_total: int
    merged: int
    unpriced: Mapping[str | None, Spending]
    held_attempts: int
    scores_waiting: int
    scores_given_up: int


def quality(*, since: datetime, until: datetime) -> Quality:
    """The whole range's; both ends are whole hours."""
    everything = Figures()
    without_prompt = without_version = 0
    unknown: Counter[Named] = Counter()
    for group, figures in version_metrics(since=since, until=until, by=(VERSION,), interval="total"):
        everything.add(figures)
        prompt, version = group.key.prompt_name, group.key.version_text
        if prompt is None:
            without_prompt += figures.calls
        elif group.key.version_id is None and version is None:
            without_version += figures.calls
        elif version is not None:
            unknown[prompt, version] += figures.calls
    by_model = spent_by_value(by=Dimension.MODEL, since=since, until=until)
    homeless = Score.objects.filter(call__isnull=True, counts=False, received_at__gte=since, received_at__lt=until)
    return Quality(
        refused=refused(since=since, until=until),
        calls=everything.calls,
        without_prompt=without_prompt,
        without_version=without_version,
        unknown_versions=unknown,
        streams=everything.ttft.total(),
        ttft_is_total=everything.ttft_is_total,
        merged=everything.merged,
        unpriced={model: spending for model, spending in by_model.items() if spending.unpriced},
        held_attempts=Call.objects.filter(held=True).count(),
        scores_waiting=homeless.filter(waiting=True).count(),
        scores_given_up=homeless.filter(waiting=False).count(),
    )


def refused(*, since: datetime, until: datetime) -> dict[str, dict[str, int]]:
    """Kind → reason → how many, the most first; every kind is told, though it be of none."""
    rows = RefusedHour.objects.filter(hour__gte=since, hour__lt=until).values_list("kind", "reason")
    found: dict[str, dict[str, int]] = {kind: {} for kind in Refused.values}
    for kind, reason, n in rows.annotate(total=Sum("n")).order_by("-total", "reason"):
        found[kind][reason] = n
    return found


def exposures(*, since: datetime, until: datetime) -> dict[ExposureKey, Exposed]:
    """The range's LLM calls under an exposure, and how many of them have which score."""
    between = hours_between(since, until)
    found: dict[ExposureKey, Exposed] = {}
    for row in ExposureHour.objects.filter(between.stored).iterator():
        _add(found, ExposureKey(row.rollout, row.arm, row.version_id), _stored(row))
    for stretch in between.live:
        for key, of_stretch in exposed(stretch).items():
            _add(found, key, of_stretch)
    return found


def _stored(row: ExposureHour) -> Exposed:
    return Exposed(row.calls, row.scored, row.told_tokens, row.told_cached_tokens)


def _add(found: dict[ExposureKey, Exposed], key: ExposureKey, more: Exposed) -> None:
    sums = found.setdefault(key, Exposed(0, {}))
    sums.calls += more.calls
    sums.told_tokens += more.told_tokens
    sums.told_cached_tokens += more.told_cached_tokens
    for name, n in more.scored.items():
        sums.scored[name] = sums.scored.get(name, 0) + n

"""Reading what happened: calls for people and programs, and what a rollout needs to know of the past."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet, Sum

from observability.core.calls import EMBEDDINGS
from observability.core.evidence import ERROR_RATE, TOP_BIN, bin_of
from observability.models import Call, Score
from registry.core.versions import SemVer, parse_version
from registry.models import Prompt


@dataclass(frozen=True, slots=True)
class Baseline:
    """n values of a metric and their sum; of `error_rate`, calls and the failed ones among them."""

    n: int
    total: float


@dataclass(frozen=True, slots=True)
class ScoreName:
    """A name that scores were given under. only_zero_or_one: none was anything else, so that it may be a rate."""

    name: str
    only_zero_or_one: bool


@dataclass(frozen=True, slots=True)
class Traffic:
    """LLM calls of a prompt, and by score name how many of them got one that counts."""

    calls: int
    scored: Mapping[str, int]


def calls(
    *,
    trace_id: bytes | None = None,
    prompt: str | None = None,
    version: str | None = None,
    since: datetime | None = None,
) -> QuerySet[Call]:
    """Calls, the newest first, with their versions and scores. version: in any way of writing it, or as it was sent."""
    found = Call.objects.select_related("version").prefetch_related("scores")
    if trace_id is not None:
        found = found.filter(trace_id=trace_id)
    if prompt is not None:
        found = found.filter(prompt_name=prompt)
    if version is not None:
        found = found.filter(_named(version))
    if since is not None:
        found = found.filter(started_at__gte=since)
    return found


def baseline(*, version_id: int, metric: str, since: datetime) -> Baseline:
    """What the metric was for a version: errors among its LLM calls, or the first score of a name of each call."""
    prompt = Prompt.objects.get(versions=version_id)  # most of its calls name this version: its index serves as well
    of_prompt = Call.objects.filter(prompt_name=prompt.name, started_at__gte=since)
    of_version = of_prompt.filter(version=version_id).exclude(operation=EMBEDDINGS)
    if metric == ERROR_RATE:
        found = of_version.aggregate(n=Count("id"), total=Count("id", filter=Q(error=True)))
    else:
        found = of_version.filter(scores__name=metric, scores__counts=True).aggregate(
            n=Count("scores"), total=Sum("scores__value", default=0.0)
        )
    return Baseline(found["n"], float(found["total"]))


def score_names(*, prompt: str, since: datetime) -> list[ScoreName]:
    """The names of all scores that calls of a prompt got, in order."""
    of_prompt = Score.objects.filter(call__prompt_name=prompt, call__started_at__gte=since)
    names = of_prompt.values_list("name").annotate(between=Count("id", filter=Q(value__gt=0, value__lt=1)))
    return [ScoreName(name, only_zero_or_one=between == 0) for name, between in names.order_by("name")]


def example_trace_ids(*, rollout_id: str, arm: str, limit: int) -> list[str]:
    """Traces of the newest calls of an arm, in hexadecimal."""
    newest = Call.objects.filter(rollout=rollout_id, arm=arm).order_by("-id")
    ids = newest.values_list("trace_id", flat=True)[: 4 * limit]  # several calls may share a trace
    return list(dict.fromkeys(bytes(trace_id).hex() for trace_id in ids))[:limit]


def values_by_bin(*, version_id: int, metric: str, since: datetime) -> dict[int, int]:
    """The observations of `baseline` by bin of the evidence."""
    if metric == ERROR_RATE:
        seen = baseline(version_id=version_id, metric=metric, since=since)
        return {bin_: n for bin_, n in ((0, seen.n - int(seen.total)), (TOP_BIN, int(seen.total))) if n}
    prompt = Prompt.objects.get(versions=version_id)  # by its index, as in `baseline`
    of_prompt = Score.objects.filter(call__prompt_name=prompt.name, call__started_at__gte=since)
    of_version = of_prompt.filter(name=metric, counts=True, call__version=version_id)
    values = of_version.exclude(call__operation=EMBEDDINGS).order_by("value").values_list("value")
    by_value = values.annotate(Count("id"))
    bins: Counter[int] = Counter()
    for value, n in by_value:
        bins[bin_of(value)] += n
    return dict(bins)


def traffic(*, prompt: str, since: datetime) -> Traffic:
    """What came of the prompt, in whatever version, since then."""
    of_prompt = Call.objects.filter(prompt_name=prompt, started_at__gte=since).exclude(operation=EMBEDDINGS)
    scores = Score.objects.filter(counts=True, call__prompt_name=prompt, call__started_at__gte=since)
    by_name = scores.exclude(call__operation=EMBEDDINGS).order_by("name").values_list("name").annotate(Count("id"))
    return Traffic(calls=of_prompt.count(), scored=dict(by_name))


def _named(version: str) -> Q:
    as_sent = Q(version__isnull=True, version_text=version)
    try:
        number = parse_version(version)
    except ValueError:
        return as_sent
    if isinstance(number, SemVer):
        return as_sent | Q(version__major=number.major, version__minor=number.minor, version__patch=number.patch)
    return as_sent | Q(version__ordinal=number)

"""Reading what happened: calls for people and programs, and what a rollout needs to know of the past."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log
from typing import Any

from django.db.models import Case, Count, F, FloatField, Max, Min, Q, QuerySet, Sum, When
from django.db.models.functions import Cast, Coalesce, Floor, Least, Ln, Round

from observability.core.evidence import (
    COST_PER_CALL,
    ERROR_RATE,
    INTER_TOKEN_LATENCY,
    LATENCY,
    LOG_BINNED,
    LOG_STEP,
    OUTPUT_VALID,
    SMALLEST,
    TOKENS,
    TOP_BIN,
    TOP_LOG_BIN,
    TTFT,
)
from observability.models import Call, CallText, Score
from observability.models.calls import CallQuerySet
from registry.core.versions import SemVer, parse_version
from registry.models import Prompt

UNPRICED_FOR = timedelta(days=7)
MOST_UNPRICED = 200
CLOCKS_APART = timedelta(hours=1)  # at most: clocks of hosts, and one from itself when it is set


@dataclass(frozen=True, slots=True)
class ScoreName:
    """A name that scores were given under. only_zero_or_one: none was anything else, so that it may be a rate."""

    name: str
    only_zero_or_one: bool


@dataclass(frozen=True, slots=True)
class UnpricedModel:
    """A model as its calls name it, the one that answered where that is told; tokens: in and out of those calls."""

    provider: str | None
    model: str | None
    calls: int
    tokens: int
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Traffic:
    """LLM calls of a prompt; observed: by measure and score name, how many of them had one that counts."""

    calls: int
    observed: Mapping[str, int]


def calls(
    *,
    trace_id: bytes | None = None,
    prompt: str | None = None,
    version: str | None = None,
    since: datetime | None = None,
) -> CallQuerySet:
    """Calls, the newest first, with their versions and scores. version: in any way of writing it, or as it was sent."""
    found: CallQuerySet = Call.objects.select_related("version").prefetch_related("scores")
    if trace_id is not None:
        found = found.of_trace(trace_id)
    if prompt is not None:
        found = found.filter(prompt_name=prompt)
    if version is not None:
        found = found.filter(_named(version))
    if since is not None:
        found = found.since(since)
    return found


def text_of_call(*, trace_id: str, span_id: str) -> CallText | None:
    """What is stored of the texts of the call with this span, in hexadecimal; None also for what are no ids."""
    try:
        of_span = Call.objects.of_span(bytes.fromhex(trace_id), bytes.fromhex(span_id))
    except ValueError:
        return None
    return CallText.objects.select_related("call").filter(call__in=of_span).first()


def scores(
    *, joined: bool | None = None, name: str | None = None, source: str | None = None, since: datetime | None = None
) -> QuerySet[Score]:
    """Scores with their calls, the newest first. joined: false for those that look for a call, or did in vain."""
    found = Score.objects.select_related("call")
    if joined:
        found = found.filter(call__isnull=False)
    elif joined is not None:
        found = found.filter(Q(waiting=True) | Q(gave_up=True), call__isnull=True)
    if name is not None:
        found = found.filter(name=name)
    if source is not None:
        found = found.filter(source=source)
    if since is not None:
        first = _first_id(since)
        found = found.none() if first is None else found.filter(received_at__gte=since, id__gte=first)
    return found


def _first_id(since: datetime) -> int | None:
    """The least id of the scores received since then, so that a list by id ends there; None where there are none.

    Ids follow the time of arrival, but for what came at once on several hosts and clocks that were set.
    """
    received = Score.objects.filter(received_at__gte=since).order_by()
    earliest = received.aggregate(at=Min("received_at"))["at"]
    if earliest is None:
        return None
    first: int | None = received.filter(received_at__lt=earliest + CLOCKS_APART).aggregate(id=Min("id"))["id"]
    return first


def unpriced_models(*, since: datetime) -> list[UnpricedModel]:
    """The models of calls since then that told tokens and have no cost, at most 200, the most tokens first."""
    told = Q(input_tokens__gt=0) | Q(output_tokens__gt=0)
    unpriced = Call.objects.filter(told, cost_usd__isnull=True).since(since).order_by()
    found = unpriced.values("provider", model=Coalesce("response_model", "request_model")).annotate(
        calls=Count("id"),
        tokens=Sum(Coalesce("input_tokens", 0) + Coalesce("output_tokens", 0)),
        last_seen=Max("started_at"),
    )
    return [UnpricedModel(**row) for row in found.order_by("-tokens", "provider", "model")[:MOST_UNPRICED]]


def baseline(*, version_id: int, measure: str, since: datetime) -> dict[int, int]:
    """What a version's LLM calls were observed for since then: bin → observations, as evidence would count them.

    measure: a built-in one, or the name of scores. Binned by the database: a value within rounding of the edge between
    two bins may fall into the other one than in evidence.
    """
    prompt = Prompt.objects.get(versions=version_id)  # most of its calls name this version: its index serves as well
    of_prompt = Call.objects.filter(prompt_name=prompt.name).since(since)
    of_version = of_prompt.filter(version=version_id, is_embedding=False)
    value = VALUES.get(measure)
    if value is None:
        of_version, value = of_version.filter(scores__name=measure, scores__counts=True), F("scores__value")
    elif measure in OF_ANSWERS:
        of_version = of_version.filter(error=False)
    bins = _log_bin(value, SMALLEST[measure]) if measure in LOG_BINNED else Round(TOP_BIN * value)
    observed = of_version.alias(value=value).filter(value__isnull=False).annotate(bin=bins)
    return {int(bin_): n for bin_, n in observed.order_by().values_list("bin").annotate(n=Count("*"))}


def score_names(*, prompt: str, since: datetime) -> list[ScoreName]:
    """The names of all scores that calls of a prompt got, in order."""
    of_prompt = Score.objects.filter(call__in=Call.objects.filter(prompt_name=prompt).since(since))
    names = of_prompt.values_list("name").annotate(between=Count("id", filter=Q(value__gt=0, value__lt=1)))
    return [ScoreName(name, only_zero_or_one=between == 0) for name, between in names.order_by("name")]


def measures(*, prompt: str, since: datetime) -> frozenset[str]:
    """Of latency, ttft and cost_per_call those that at least half of the prompt's calls had: enough to be judged by."""
    of_prompt = Call.objects.filter(prompt_name=prompt, is_embedding=False).since(since)
    found = of_prompt.aggregate(
        n=Count("id"), latency=Count("duration_ms"), ttft=Count("ttft_ms"), cost_per_call=Count("cost_usd")
    )
    return frozenset(name for name, n in found.items() if name != "n" and n and 2 * n >= found["n"])


def example_trace_ids(*, rollout_id: str, arm: str, limit: int) -> list[str]:
    """Traces of the newest calls of an arm, in hexadecimal."""
    newest = Call.objects.filter(rollout=rollout_id, arm=arm).order_by("-id")
    ids = newest.values_list("trace_id", flat=True)[: 4 * limit]  # several calls may share a trace
    return list(dict.fromkeys(bytes(trace_id).hex() for trace_id in ids))[:limit]


def traffic(*, prompt: str, since: datetime) -> Traffic:
    """What came of the prompt, in whatever version, since then."""
    of_prompt = Call.objects.filter(prompt_name=prompt, is_embedding=False).since(since)
    answered = Q(error=False)
    by_measure = of_prompt.aggregate(
        **{
            measure: Count(value, filter=answered if measure in OF_ANSWERS else None)
            for measure, value in VALUES.items()
        }
    )
    scores = Score.objects.filter(counts=True, call__in=Call.objects.filter(prompt_name=prompt).since(since))
    by_name = scores.filter(call__is_embedding=False).order_by("name").values_list("name").annotate(Count("id"))
    return Traffic(calls=by_measure[ERROR_RATE], observed={**by_measure, **dict(by_name)})


def _share(field: str) -> Case:
    """1 or 0 of true and false."""
    return Case(When(**{field: True}, then=1.0), When(**{field: False}, then=0.0))


VALUES: Mapping[str, Any] = {  # of a call, null where it has none
    ERROR_RATE: _share("error"),
    OUTPUT_VALID: _share("output_valid"),
    LATENCY: F("duration_ms"),
    TTFT: F("ttft_ms"),
    INTER_TOKEN_LATENCY: F("inter_token_ms"),
    TOKENS: Cast(F("input_tokens") + F("output_tokens"), FloatField()),
    COST_PER_CALL: Cast("cost_usd", FloatField()),
}
OF_ANSWERS = {LATENCY, TTFT, INTER_TOKEN_LATENCY, OUTPUT_VALID}  # not of calls that failed


def _log_bin(value: Any, smallest: float) -> Case:
    """core.evidence.log_bin in SQL."""
    bin_ = 1 + Floor(Ln(value / smallest) / log(LOG_STEP))
    return Case(When(value__lt=smallest, then=0.0), default=Least(bin_, float(TOP_LOG_BIN)))


def _named(version: str) -> Q:
    as_sent = Q(version__isnull=True, version_text=version)
    try:
        number = parse_version(version)
    except ValueError:
        return as_sent
    if isinstance(number, SemVer):
        return as_sent | Q(version__major=number.major, version__minor=number.minor, version__patch=number.patch)
    return as_sent | Q(version__ordinal=number)

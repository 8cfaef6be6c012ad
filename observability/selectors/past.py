"""What a rollout needs to know of the past: how versions did, what they were scored by, how much traffic there is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Case, Count, F, FloatField, Q, Sum, When
from django.db.models.functions import Cast, Coalesce, Round

from observability.core.evidence import (
    COST_PER_CALL,
    ERROR_RATE,
    INTER_TOKEN_LATENCY,
    LATENCY,
    LOG_BINNED,
    OUTPUT_VALID,
    TOKENS,
    TOP_BIN,
    TTFT,
)
from observability.models import Call, Score
from observability.selectors.bins import log_bin
from registry.models import Prompt


@dataclass(frozen=True, slots=True)
class ScoreName:
    """A name that scores were given under. only_zero_or_one: none was anything else, so that it may be a rate."""

    name: str
    only_zero_or_one: bool


@dataclass(frozen=True, slots=True)
class Traffic:
    """LLM calls of a prompt; observed: by measure and score name, how many of them had one that would be evidence.
    cost_usd: of those whose cost is known."""

    calls: int
    observed: Mapping[str, int]
    cost_usd: Decimal = Decimal(0)


def baseline(*, version_id: int, measure: str, since: datetime, evaluator: str = "") -> dict[int, int]:
    """What a version's LLM calls were observed for since then: bin → observations, as evidence would count them.

    measure: a built-in one, or the name of scores. evaluator: whose scores alone, as `faithfulness@3`. Binned by the
    database: a value within rounding of the edge between two bins may fall into the other one than in evidence.
    """
    prompt = Prompt.objects.get(versions=version_id)  # most of its calls name this version: its index serves as well
    of_prompt = Call.objects.filter(prompt_name=prompt.name).since(since)
    of_version = of_prompt.filter(version=version_id, is_embedding=False)
    value = VALUES.get(measure)
    if value is None:
        by_it = {"scores__evaluator": evaluator} if evaluator else {}
        of_version = of_version.filter(scores__name=measure, scores__counts=True, scores__by_design=True, **by_it)
        value = F("scores__value")
    elif measure in OF_ANSWERS:
        of_version = of_version.filter(error=False)
    bins = log_bin(value, measure) if measure in LOG_BINNED else Round(TOP_BIN * value)
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
        },
        cost=Coalesce(Sum("cost_usd"), Decimal(0)),
    )
    scores = Score.objects.filter(
        counts=True, by_design=True, call__in=Call.objects.filter(prompt_name=prompt).since(since)
    )
    by_name = scores.filter(call__is_embedding=False).order_by("name").values_list("name").annotate(Count("id"))
    cost_usd = by_measure.pop("cost")
    return Traffic(calls=by_measure[ERROR_RATE], observed={**by_measure, **dict(by_name)}, cost_usd=cost_usd)


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

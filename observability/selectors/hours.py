"""What the calls of one hour come to, computed by the database from the calls themselves.

Roll-ups are stored from these answers and reads of hours without a roll-up use them as they are, so that both agree. A
failed attempt that another may follow (Call.held) is not a call yet.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Case, Count, F, FloatField, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce

from observability.core.evidence import INTER_TOKEN_LATENCY, LATENCY, TTFT
from observability.core.figures import Figures, ScoreSums
from observability.models import Call, Dimension, OtherSpan, Score
from observability.models.calls import first_place
from observability.selectors.bins import log_bin

HOUR = timedelta(hours=1)
OTHER = "other"
TTFT_IS_TOTAL = 0.999  # of the duration: what comes later than that came with the end
FEW_TOKENS = 5  # a stream of no more may well come in one piece


class VersionKey(NamedTuple):
    """What version hours are counted by. version_text: as sent, None where the version exists."""

    prompt_name: str | None
    version_id: int | None
    version_text: str | None
    label: str | None
    environment: str | None
    feature: str | None


class ExposureKey(NamedTuple):
    rollout: str
    arm: str
    version_id: int | None


@dataclass(slots=True)
class Spending:
    """Sums over calls, embeddings too. cost_usd: of those whose cost is known; unpriced: the others."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    unpriced: int = 0
    unpriced_tokens: int = 0

    def add(self, other: "Spending") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Exposed:
    """scored: score name → calls that have one that counts."""

    calls: int
    scored: dict[str, int]


def hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def next_hour_with_calls(since: datetime) -> datetime | None:
    """The first hour, from this one on, in which any call started."""
    first = Call.objects.since(since).order_by("place").values_list("started_at", flat=True)
    return hour_of(moment) if (moment := first.first()) else None


def version_figures(
    hour: datetime, *, prompts: Collection[str] | None = None, with_times: bool = True
) -> dict[VersionKey, Figures]:
    """The figures of an hour's LLM calls, of some prompts or of all; without the times they cost half."""
    calls = _llm_calls(hour)
    others = OtherSpan.objects.filter(_llm(hour, "call__"))
    scores = Score.objects.filter(_llm(hour, "call__"), counts=True)
    if prompts is not None:
        calls = calls.filter(prompt_name__in=prompts)
        others, scores = others.filter(call__prompt_name__in=prompts), scores.filter(call__prompt_name__in=prompts)
    figures: dict[VersionKey, Figures] = defaultdict(Figures)
    for key, part in _sums(calls):
        figures[key].add(part)
    for name, (field, measure) in TIMES.items() if with_times else ():
        for key, bin_, n in _histogram(calls, field, measure):
            getattr(figures[key], name)[bin_] = n
    by_call = others.order_by().values_list(*_key("call__").values())
    for *key_, n in by_call.annotate(n=Count("call", distinct=True)):
        figures[VersionKey(*key_)].merged = n
    by_name = scores.order_by().values_list(*_key("call__").values(), "name", "source")
    for *key_, name, source, n, total, squares in by_name.annotate(
        n=Count("id"), total=Sum("value"), squares=Sum(_SQUARE)
    ):
        figures[VersionKey(*key_)].scores[name, source] = ScoreSums(n, total, squares)
    return dict(figures)


def spending(hour: datetime, dimension: str) -> dict[str | None, Spending]:
    """What an hour's calls cost, by the values of a dimension."""
    calls = Call.objects.filter(_within(hour, ""), held=False).order_by()
    unpriced = Q(cost_usd__isnull=True)
    tokens = Coalesce("input_tokens", 0) + Coalesce("output_tokens", 0)
    rows = calls.values_list(VALUES[Dimension(dimension)]).annotate(
        n=Count("id"),
        read=Coalesce(Sum("input_tokens"), 0),
        written=Coalesce(Sum("output_tokens"), 0),
        cost=COST,
        without_cost=Count("id", filter=unpriced),
        tokens_without_cost=Coalesce(Sum(tokens, filter=unpriced), 0),
    )
    return {value: Spending(*sums) for value, *sums in rows}


def exposed(hour: datetime) -> dict[ExposureKey, Exposed]:
    """An hour's LLM calls under an exposure, and how many of them have which score."""
    fields = ExposureKey._fields
    calls = _llm_calls(hour).filter(rollout__isnull=False)
    found = {ExposureKey(*key): Exposed(n, {}) for *key, n in calls.values_list(*fields).annotate(Count("id"))}
    # By the calls of the hour, or SQLite reads all scores there are. Of a name only one counts for a call.
    scores = Score.objects.filter(call__in=calls.values("pk"), counts=True).order_by()
    by_name = scores.values_list(*(f"call__{field}" for field in fields), "name")
    for *key, name, n in by_name.annotate(Count("id")):
        found.setdefault(ExposureKey(*key), Exposed(0, {})).scored[name] = n
    return found


COST = Coalesce(Sum("cost_usd"), Decimal(0))
VALUES: Mapping[Dimension, Any] = {
    Dimension.USER: F("user_hash"),
    Dimension.FEATURE: F("feature"),
    Dimension.ENVIRONMENT: F("environment"),
    Dimension.PROMPT: F("prompt_name"),
    Dimension.MODEL: Coalesce("response_model", "request_model"),
}
TIMES = {  # field of Figures → of Call, and its measure
    "ttft": ("ttft_ms", TTFT),
    "latency": ("duration_ms", LATENCY),
    "inter_token": ("inter_token_ms", INTER_TOKEN_LATENCY),
}
# PostgreSQL takes the square of a smaller one, which a float cannot hold, for an error.
_SQUARE = Case(When(value__lt=1e-150, then=0.0), default=F("value") * F("value"), output_field=FloatField())
_TIMED = Q(error=False, duration_ms__gt=0, output_tokens__isnull=False)
_FIRST_WITH_LAST = Q(error=False, output_tokens__gt=FEW_TOKENS, ttft_ms__gte=TTFT_IS_TOTAL * F("duration_ms"))


def _within(hour: datetime, path: str) -> Q:
    return Q(**{f"{path}place__gte": first_place(hour), f"{path}place__lt": first_place(hour + HOUR)})


def _llm(hour: datetime, path: str) -> Q:
    return _within(hour, path) & Q(**{f"{path}held": False}) & Q(**{f"{path}is_embedding": False})


def _llm_calls(hour: datetime) -> QuerySet[Call]:
    return Call.objects.filter(_llm(hour, "")).order_by()


def _key(path: str) -> dict[str, Any]:
    """VersionKey in SQL."""
    text = Case(When(**{f"{path}version__isnull": True}, then=F(f"{path}version_text")))
    return {name: F(path + name) for name in VersionKey._fields} | {"version_text": text}


def _sums(calls: QuerySet[Call]) -> Iterator[tuple[VersionKey, Figures]]:
    rows = calls.values_list(*_key("").values(), "error", "error_class").annotate(
        n=Count("id"),
        tries=Sum("attempts"),
        read=Coalesce(Sum("input_tokens"), 0),
        written=Coalesce(Sum("output_tokens"), 0),
        cached=Coalesce(Sum("cached_tokens"), 0),
        reasoned=Coalesce(Sum("reasoning_tokens"), 0),
        cost=COST,
        with_cost=Count("cost_usd"),
        tokens_in_time=Coalesce(Sum("output_tokens", filter=_TIMED), 0),
        time_ms=Coalesce(Sum("duration_ms", filter=_TIMED), Value(0.0)),
        at_the_end=Count("id", filter=_FIRST_WITH_LAST),
    )
    for *key, error, error_class, n, tries, read, written, cached, reasoned, cost, with_cost, timed, ms, ended in rows:
        yield (
            VersionKey(*key),
            Figures(
                calls=n,
                errors=Counter({error_class or OTHER: n} if error else {}),
                attempts=tries,
                input_tokens=read,
                output_tokens=written,
                cached_tokens=cached,
                reasoning_tokens=reasoned,
                cost_usd=cost,
                priced=with_cost,
                timed_tokens=timed,
                timed_ms=ms,
                ttft_is_total=ended,
            ),
        )


def _histogram(calls: QuerySet[Call], field: str, measure: str) -> Iterator[tuple[VersionKey, int, int]]:
    """(key, bin, calls) of a time of the calls that did not fail."""
    answered = calls.filter(error=False, **{f"{field}__isnull": False})
    in_bins = answered.values_list(*_key("").values(), log_bin(F(field), measure))
    for *key, found, n in in_bins.annotate(Count("id")):
        yield VersionKey(*key), int(found), n

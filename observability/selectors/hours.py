"""What the calls of some hours come to, computed by the database from the calls themselves.

However many hours they are, that takes the same few statements. Roll-ups are stored from these answers and reads of
hours without a roll-up use them as they are, so that both agree. A failed attempt that another may follow (Call.held)
is not a call yet.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Case, Count, F, FloatField, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce

from observability.core.evidence import INTER_TOKEN_LATENCY, LATENCY, TTFT
from observability.core.figures import Figures, ScoreSums, Weights
from observability.core.times import EPOCH
from observability.models import Call, Dimension, OtherSpan, Score
from observability.models.calls import PLACES_PER_HOUR, first_place
from observability.models.rollups import WHOLE_DAY
from observability.selectors.bins import log_bin

HOUR = timedelta(hours=1)
OTHER = "other"
TTFT_IS_TOTAL = 0.999  # of the duration: what comes later than that came with the end
FEW_TOKENS = 5  # a stream of no more may well come in one piece


By = Callable[[str], Sequence[Any]]
"""What calls are grouped by: the expressions for them, given the path that leads to a call."""


class Stretch(NamedTuple):
    """Hours one after the other, from `since` to before `until`, both whole."""

    since: datetime
    until: datetime


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
    """scored: score name → calls that have one that counts. told_tokens, told_cached_tokens: as of Figures."""

    calls: int
    scored: dict[str, int]
    told_tokens: int = 0
    told_cached_tokens: int = 0


def hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def next_hour_with_calls(since: datetime) -> datetime | None:
    """The first hour, from this one on, in which any call started."""
    first = Call.objects.since(since).order_by("place").values_list("started_at", flat=True)
    return hour_of(moment) if (moment := first.first()) else None


def the_hour(hour: datetime) -> Stretch:
    return Stretch(hour, hour + HOUR)


def version_figures(
    stretch: Stretch, *, step: int = 1, prompts: Collection[str] | None = None, with_times: bool = True
) -> dict[tuple[datetime, VersionKey], Figures]:
    """The figures of a stretch's LLM calls, of some prompts or of all, by the start of each step of so many hours, a
    divisor of 24; without the times they cost half."""
    calls = llm_calls(stretch)
    others, scores = others_of(stretch), scores_of(stretch)
    if prompts is not None:
        calls = calls.filter(prompt_name__in=prompts)
        others, scores = others.filter(call__prompt_name__in=prompts), scores.filter(call__prompt_name__in=prompts)

    def by(path: str) -> Sequence[Any]:
        return _number(step, path), *_key(path).values()

    found = figures_by(by, calls, others, scores, with_times=with_times)
    return {(_start(number, step), VersionKey(*key)): figures for (number, *key), figures in found.items()}


def figures_by(
    by: By,
    calls: QuerySet[Call],
    others: QuerySet[OtherSpan],
    scores: QuerySet[Score],
    *,
    with_times: bool = True,
) -> dict[tuple[Any, ...], Figures]:
    """The figures of calls by the values of some expressions. others, scores: of these calls."""
    figures: dict[tuple[Any, ...], Figures] = defaultdict(Figures)
    for group, part in _sums(calls, by("")):
        figures[group].add(part)
    if not figures:
        return {}
    for name, (field, measure) in TIMES.items() if with_times else ():
        answered = calls.filter(error=False, **{f"{field}__isnull": False})
        for group, bin_, n in histogram(answered, by(""), log_bin(F(field), measure)):
            getattr(figures[group], name)[bin_] = n
    by_call = others.order_by().values_list(*by("call__"))
    for *group, n in by_call.annotate(n=Count("call", distinct=True)):
        figures[tuple(group)].merged = n
    by_name = scores.order_by().values_list(*by("call__"), "name", "source")
    for row in by_name.annotate(**SCORE_SUMS, chosen=Count("probability"), **_weights()):
        (*group, name, source, n, total, squares, chosen), weights = row[:-_WEIGHTS], row[-_WEIGHTS:]
        found = ScoreSums(n, total, squares, Weights._make(weights) if chosen else None)
        figures[tuple(group)].scores[name, source] = found
    return figures


def spending(stretch: Stretch, dimension: str) -> dict[str | None, Spending]:
    """What a stretch's calls cost, by the values of a dimension."""
    return {value: Spending(*sums) for value, *sums in spending_rows(stretch, dimension)}


def spending_rows(stretch: Stretch, dimension: str) -> QuerySet[Call, tuple[Any, ...]]:
    """The same as rows to go on with in SQL: the value, then the members of Spending."""
    return spending_calls(stretch).values_list(VALUES[Dimension(dimension)]).annotate(**_spending_sums())


def spending_by_value_and_day(
    stretch: Stretch, dimension: str, values: Collection[str | None]
) -> dict[tuple[str | None, date], Spending]:
    """Of these values alone."""
    calls = spending_calls(stretch).alias(value=VALUES[Dimension(dimension)])
    named = Q(value__in=[value for value in values if value is not None])
    found = calls.filter(named | Q(value__isnull=True) if None in values else named)
    rows = found.values_list(F("value"), _number(WHOLE_DAY, "")).annotate(**_spending_sums())
    return {(value, _start(number, WHOLE_DAY).date()): Spending(*sums) for value, number, *sums in rows}


def spending_by_day(stretch: Stretch) -> dict[date, Spending]:
    rows = spending_calls(stretch).values_list(_number(WHOLE_DAY, "")).annotate(**_spending_sums())
    return {_start(number, WHOLE_DAY).date(): Spending(*sums) for number, *sums in rows}


def exposed(stretch: Stretch) -> dict[ExposureKey, Exposed]:
    """A stretch's LLM calls under an exposure, and how many of them have which score."""
    fields = ExposureKey._fields
    calls = llm_calls(stretch).filter(rollout__isnull=False)
    rows = calls.values_list(*fields).annotate(n=Count("id"), told=TOLD, told_cached=TOLD_CACHED)
    found = {ExposureKey(*key): Exposed(n, {}, told, cached) for *key, n, told, cached in rows}
    if not found:
        return {}
    # By the calls of the stretch, or SQLite reads all scores there are. Of a name only one counts for a call.
    scores = Score.objects.filter(call__in=calls.values("pk"), counts=True).order_by()
    by_name = scores.values_list(*(f"call__{field}" for field in fields), "name")
    for *key, name, n in by_name.annotate(Count("id")):
        found.setdefault(ExposureKey(*key), Exposed(0, {})).scored[name] = n
    return found


COST = Coalesce(Sum("cost_usd"), Decimal(0))
_TELLS_ITS_CACHE = Q(input_tokens__isnull=False, cached_tokens__isnull=False)
TOLD = Coalesce(Sum("input_tokens", filter=_TELLS_ITS_CACHE), 0)
TOLD_CACHED = Coalesce(Sum("cached_tokens", filter=_TELLS_ITS_CACHE), 0)
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
SCORE_SUMS = {"n": Count("id"), "total": Sum("value"), "squares": Sum(_SQUARE)}
_WEIGHT: Any = Coalesce(Value(1.0) / F("probability"), Value(1.0))  # a score stands for so many calls
_WEIGHTS = len(Weights._fields)
_TIMED = Q(error=False, duration_ms__gt=0, output_tokens__isnull=False)
_FIRST_WITH_LAST = Q(error=False, output_tokens__gt=FEW_TOKENS, ttft_ms__gte=TTFT_IS_TOTAL * F("duration_ms"))


def _within(stretch: Stretch, path: str) -> Q:
    return Q(**{f"{path}place__gte": first_place(stretch.since), f"{path}place__lt": first_place(stretch.until)})


def _llm(stretch: Stretch, path: str) -> Q:
    return _within(stretch, path) & Q(**{f"{path}held": False}) & Q(**{f"{path}is_embedding": False})


def llm_calls(stretch: Stretch) -> QuerySet[Call]:
    return Call.objects.filter(_llm(stretch, "")).order_by()


def others_of(stretch: Stretch) -> QuerySet[OtherSpan]:
    """The spans that tell of calls of a stretch for which another span stands."""
    return OtherSpan.objects.filter(_llm(stretch, "call__")).order_by()


def scores_of(stretch: Stretch) -> QuerySet[Score]:
    """The scores of a stretch's calls that count."""
    return Score.objects.filter(_llm(stretch, "call__"), counts=True).order_by()


def spending_calls(stretch: Stretch) -> QuerySet[Call]:
    return Call.objects.filter(_within(stretch, ""), held=False).order_by()


def _spending_sums() -> dict[str, Any]:
    """In the order of the members of Spending."""
    unpriced = Q(cost_usd__isnull=True)
    tokens = Coalesce("input_tokens", 0) + Coalesce("output_tokens", 0)
    return {
        "n": Count("id"),
        "read": Coalesce(Sum("input_tokens"), 0),
        "written": Coalesce(Sum("output_tokens"), 0),
        "cost": COST,
        "without_cost": Count("id", filter=unpriced),
        "tokens_without_cost": Coalesce(Sum(tokens, filter=unpriced), 0),
    }


def _weights() -> dict[str, Any]:
    """In the order of the members of Weights."""
    value = {"": Value(1.0), "x": F("value"), "xx": _SQUARE}
    return {
        f"{power}{name}": Sum(weight * of_value)
        for power, weight in (("w", _WEIGHT), ("ww", _WEIGHT * _WEIGHT))
        for name, of_value in value.items()
    }


def _number(step: int, path: str) -> Any:
    """In SQL: which step of so many hours since 1970 a call started in."""
    return F(f"{path}place") / (step * PLACES_PER_HOUR)


def _start(number: int, step: int) -> datetime:
    return EPOCH + number * step * HOUR


def _key(path: str) -> dict[str, Any]:
    """VersionKey in SQL."""
    text = Case(When(**{f"{path}version__isnull": True}, then=F(f"{path}version_text")))
    return {name: F(path + name) for name in VersionKey._fields} | {"version_text": text}


def _sums(calls: QuerySet[Call], by: Sequence[Any]) -> Iterator[tuple[tuple[Any, ...], Figures]]:
    rows = calls.values_list(*by, "error", "error_class").annotate(
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
        told=TOLD,
        told_cached=TOLD_CACHED,
    )
    for (
        *group,
        error,
        error_class,
        n,
        tries,
        read,
        written,
        cached,
        reasoned,
        cost,
        priced,
        timed,
        ms,
        end,
        told,
        told_cached,
    ) in rows:
        yield (
            tuple(group),
            Figures(
                calls=n,
                errors=Counter({error_class or OTHER: n} if error else {}),
                attempts=tries,
                input_tokens=read,
                output_tokens=written,
                cached_tokens=cached,
                reasoning_tokens=reasoned,
                cost_usd=cost,
                priced=priced,
                timed_tokens=timed,
                timed_ms=ms,
                ttft_is_total=end,
                told_tokens=told,
                told_cached_tokens=told_cached,
            ),
        )


def histogram(calls: QuerySet[Call], by: Sequence[Any], bin_: Any) -> Iterator[tuple[tuple[Any, ...], int, int]]:
    """(group, bin, calls). bin_: an expression that is null for no call."""
    for *group, found, n in calls.values_list(*by, bin_).annotate(Count("id")):
        yield tuple(group), int(found), n

"""The series: what came of a prompt in each five minutes, by version, model, provider, environment and arm.

`buckets` reads what is stored, which is at most a minute behind; `sums` adds rows up by any of their keys. `computed`
is what the rows are written from: the statements of selectors.hours, by shorter steps and more keys.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import BooleanField, Case, Count, F, Func, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce

from observability.core.baselines import QUARTER
from observability.core.evidence import (
    COST_PER_CALL,
    ERROR_RATE,
    LATENCY,
    OUTPUT_VALID,
    SMALLEST,
    TTFT,
    value_of_log_bin,
)
from observability.core.figures import NO_SCORES, Figures, ScoreSums
from observability.core.times import BUCKET, EPOCH
from observability.models import Call, FiguresBucket, JudgedBucket, MetricBucket, Score
from observability.models.calls import PLACES_PER_HOUR
from observability.models.rollups import columns_of
from observability.selectors.bins import log_bin
from observability.selectors.hours import (
    HOUR,
    SCORE_SUMS,
    Stretch,
    figures_by,
    histogram,
    hour_of,
    llm_calls,
    others_of,
    scores_of,
)

CANARY = "canary"
BUCKETS_PER_HOUR = HOUR // BUCKET
BUCKETS_PER_QUARTER = QUARTER // BUCKET


class SeriesKey(NamedTuple):
    """What buckets are counted by, beside their time."""

    prompt_name: str | None
    version_id: int | None
    version_text: str | None
    label: str | None
    environment: str | None
    provider: str | None
    model: str | None
    is_canary: bool


class JudgedKey(NamedTuple):
    prompt_name: str | None
    label: str | None
    is_canary: bool
    name: str
    evaluator: str | None
    judge_model: str | None


class Computed(NamedTuple):
    figures: list[FiguresBucket]
    judged: list[JudgedBucket]
    metrics: list[MetricBucket]


def buckets(prompt_name: str, since: datetime, until: datetime) -> list[FiguresBucket]:
    """A prompt's, of the five minutes that begin from `since` on and before `until`, in order."""
    return list(_between(FiguresBucket.objects.filter(prompt_name=prompt_name), since, until))


def buckets_of(prompts: Collection[str], since: datetime, until: datetime) -> QuerySet[FiguresBucket]:
    """The same of several prompts, to be read a few columns of or one after the other."""
    return _between(FiguresBucket.objects.filter(prompt_name__in=prompts), since, until)


def judged(prompt_name: str, since: datetime, until: datetime) -> list[JudgedBucket]:
    return list(_between(JudgedBucket.objects.filter(prompt_name=prompt_name), since, until))


def sums(rows: Iterable[FiguresBucket], by: Sequence[str]) -> dict[tuple[Any, ...], Figures]:
    """The rows' figures together, by the values of some of their fields, such as ("starts_at", "model")."""
    found: dict[tuple[Any, ...], Figures] = {}
    for row in rows:
        found.setdefault(tuple(getattr(row, name) for name in by), Figures()).add(row.figures)
    return found


def computed(since: datetime, until: datetime) -> Computed:
    """The rows of the buckets from `since` to before `until`, both where a bucket begins, from their calls."""
    stretch = Stretch(hour_of(since), hour_of(until - BUCKET) + HOUR)
    calls, others, scores = llm_calls(stretch), others_of(stretch), scores_of(stretch).filter(by_design=True)
    if stretch != (since, until):
        calls = calls.filter(_started(since, until, ""))
        of_calls = _started(since, until, "call__")
        others, scores = others.filter(of_calls), scores.filter(of_calls)
    figures = figures_by(_by, calls, others, scores)
    costs, checks = _costs(calls), _checks(calls)
    rows = [
        _row(group, found, costs.get(group, {}), checks.get(group, NOT_CHECKED)) for group, found in figures.items()
    ]
    return Computed(rows, list(_judged(scores)) if rows else [], _metrics(rows))


NOT_CHECKED = (0, 0)


def _between(rows: QuerySet[Any], since: datetime, until: datetime) -> QuerySet[Any]:
    return rows.filter(starts_at__gte=since, starts_at__lt=until).order_by("starts_at")


def _started(since: datetime, until: datetime, path: str) -> Q:
    return Q(**{f"{path}started_at__gte": since, f"{path}started_at__lt": until})


class _BucketOfHour(Func):
    """In SQL: which five minutes of its hour a time is in. On SQLite, where times are texts, cut out of it: a function
    in Python for each call would cost as much as all the rest."""

    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="(CAST(SUBSTR(%(expressions)s, 15, 2) AS INTEGER) / 5)")

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "(EXTRACT(MINUTE FROM %(expressions)s)::integer / 5)"
        return self.as_sql(compiler, connection, template=template)


class BucketNumber(Func):
    """In SQL: which five minutes since 1970 begin at a time. Django takes longer to make a datetime of a time of SQLite
    than everything else about a row takes: who reads many rows reads numbers, `start_of` tells their times."""

    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "(CAST(STRFTIME('%%%%s', %(expressions)s) AS INTEGER) / 300)"  # twice a template: %s in SQL
        return self.as_sql(compiler, connection, template=template)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="(EXTRACT(EPOCH FROM %(expressions)s)::bigint / 300)")


def _by(path: str) -> Sequence[Any]:
    """The number of the bucket since 1970, and a SeriesKey."""
    of_hour = _BucketOfHour(F(f"{path}started_at"))
    number = F(f"{path}place") / PLACES_PER_HOUR * BUCKETS_PER_HOUR + of_hour
    key: dict[str, Any] = {name: F(path + name) for name in SeriesKey._fields if name not in ("model", "is_canary")}
    key["version_text"] = Case(When(**{f"{path}version__isnull": True}, then=F(f"{path}version_text")))
    key["model"] = Coalesce(f"{path}response_model", f"{path}request_model")
    key["is_canary"] = _is_canary(path)
    return number, *(key[name] for name in SeriesKey._fields)


def _is_canary(path: str) -> Case:
    return Case(When(**{f"{path}arm": CANARY}, then=Value(True)), default=Value(False), output_field=BooleanField())


def _costs(calls: QuerySet[Call]) -> dict[tuple[Any, ...], dict[int, int]]:
    """Bin → calls, by group."""
    found: dict[tuple[Any, ...], dict[int, int]] = {}
    priced = calls.filter(cost_usd__isnull=False)
    for group, bin_, n in histogram(priced, _by(""), log_bin(F("cost_usd"), COST_PER_CALL)):
        found.setdefault(group, {})[bin_] = n
    return found


def _checks(calls: QuerySet[Call]) -> dict[tuple[Any, ...], tuple[int, int]]:
    """(checked, valid) of the answered calls, by group."""
    outputs = calls.filter(error=False, output_valid__isnull=False).values_list(*_by(""))
    rows = outputs.annotate(checked=Count("id"), valid=Count("id", filter=Q(output_valid=True)))
    return {tuple(group): (checked, valid) for *group, checked, valid in rows}


def _row(group: tuple[Any, ...], figures: Figures, costs: dict[int, int], checks: tuple[int, int]) -> FiguresBucket:
    number, *key = group
    return FiguresBucket(
        starts_at=start_of(number),
        **SeriesKey(*key)._asdict(),
        **columns_of(figures),
        cost=[[*costs.keys()], [*costs.values()]],
        checked=checks[0],
        valid=checks[1],
    )


def _metrics(rows: Iterable[FiguresBucket]) -> list[MetricBucket]:
    """What baselines watch, of all that is no canary."""
    found: dict[tuple[datetime, str, str, str], ScoreSums] = {}
    for row in rows:
        if row.is_canary or row.prompt_name is None:
            continue
        for metric, sums_ in metrics_of(row):
            key = (row.starts_at, row.prompt_name, row.label or "", metric)
            found[key] = found.get(key, NO_SCORES).plus(sums_)
    return [
        MetricBucket(
            **dict(zip(("starts_at", "prompt_name", "label", "metric"), key, strict=True)),
            block=block_of(key[0]),
            n=sums_.n,
            total=sums_.total,
            squares=sums_.squares,
        )
        for key, sums_ in found.items()
        if sums_.n
    ]


def metrics_of(row: FiguresBucket) -> Iterator[tuple[str, ScoreSums]]:
    failed = sum(row.errors.values())
    yield ERROR_RATE, ScoreSums(row.calls, failed, failed)
    yield OUTPUT_VALID, ScoreSums(row.checked, row.valid, row.valid)
    for metric, (bins, counts) in ((LATENCY, row.latency), (TTFT, row.ttft), (COST_PER_CALL, row.cost)):
        values = [value_of_log_bin(bin_, SMALLEST[metric]) for bin_ in bins]
        total = sum(n * value for n, value in zip(counts, values, strict=True))
        yield metric, ScoreSums(sum(counts), total, sum(n * v * v for n, v in zip(counts, values, strict=True)))
    for name, by_source in row.scores.items():
        for of_source in by_source.values():
            yield name, ScoreSums(*of_source[:3])


def block_of(at: datetime) -> int:
    """Which six hours since 1970."""
    return (at - EPOCH) // QUARTER


def _judged(scores: QuerySet[Score]) -> Iterator[JudgedBucket]:
    """Of the scores that an evaluation of ours brought."""
    number, *_ = _by("call__")
    of_ours = scores.filter(evaluation__isnull=False).values_list(
        *(number, "call__prompt_name", "call__label", _is_canary("call__"), "name", "evaluator", "evaluation__model")
    )
    for number, *key, n, total, squares in of_ours.annotate(**SCORE_SUMS):
        yield JudgedBucket(starts_at=start_of(number), **JudgedKey(*key)._asdict(), n=n, total=total, squares=squares)


def start_of(number: int) -> datetime:
    """When a bucket begins; number: which five minutes since 1970."""
    return EPOCH + number * BUCKET

"""How does judging fare? What each version of an evaluator judged of each prompt, what it missed and why, what it cost
and how long it took; and how much waits."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Count, Min, Q, QuerySet, Sum

from observability.core.back_off import LONGEST_WAITS
from observability.core.times import midnight
from observability.models import Evaluation, EvaluationStatus, EvaluatorVersion, Missing
from registry.models import Prompt
from registry.reach import EVERYTHING, Reach

MOST_LATENCIES = 1_000  # the newest, of each evaluator version and prompt


@dataclass(frozen=True, slots=True)
class Key:
    prompt: str
    evaluator: str
    ordinal: int

    @property
    def version(self) -> str:
        return f"{self.evaluator}@{self.ordinal}"


@dataclass(slots=True)
class Judged:
    """What became of the calls that were chosen since some moment.

    missing: by reason. tried: how many wait whose last attempt failed since then (by looked_at_since). cost_usd,
    priced: what is known to have been spent, and on how many. latency_p50_ms and _p95_ms: of the newest that were
    asked, None where none was. waiting, oldest_at: of whatever age.
    """

    scored: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    tried: int = 0
    cost_usd: Decimal = Decimal(0)
    priced: int = 0
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    waiting: int = 0
    oldest_at: datetime | None = None

    @property
    def settled(self) -> int:
        return self.scored + self.missing.total()


@dataclass(frozen=True, slots=True)
class Waiting:
    """urgent: those of rollouts. oldest_at: when the one was chosen that waits longest; None when none does."""

    number: int
    urgent: int
    oldest_at: datetime | None


WAITING = (
    "SELECT urgent, COUNT(*), MIN(created_at) FROM observability_evaluation WHERE status = 'waiting' GROUP BY urgent"
)
FAILED = " OR ".join(f"attempts = {n} AND next_attempt_at >= %s" for n, _ in enumerate(LONGEST_WAITS, 1))
TRIED = (
    "SELECT prompt_id, evaluator_version_id, COUNT(*) FROM observability_evaluation"  # noqa: S608 (constants only)
    " WHERE status = 'waiting' AND urgent IN (%s, %s) AND next_attempt_at >= %s AND lease_until IS NULL"
    f" AND ({FAILED}) GROUP BY prompt_id, evaluator_version_id"
)
BY = ("prompt__name", "evaluator_version__evaluator__name", "evaluator_version__ordinal")


def evaluations(
    *, prompt: str | None = None, evaluator: str | None = None, status: str | None = None, reach: Reach = EVERYTHING
) -> QuerySet[Evaluation]:
    """Evaluations with their calls and scores, the newest first. evaluator: its name, or `name@ordinal`."""
    found = Evaluation.objects.select_related("call", "prompt", "evaluator_version__evaluator", "score")
    found = found.filter(reach.rows(prompt="prompt__name", label="call__label"))
    if prompt is not None:
        found = found.filter(prompt__name=prompt)
    if evaluator is not None:
        name, at, ordinal = evaluator.partition("@")
        found = found.filter(evaluator_version__evaluator__name=name)
        if at:
            number = int(ordinal) if ordinal.isascii() and ordinal.isdigit() and len(ordinal) < 10 else 0
            found = found.filter(evaluator_version__ordinal=number)
    if status is not None:
        found = found.filter(status=status)
    return found


def judged(*, since: datetime, prompt: str | None = None, reach: Reach = EVERYTHING) -> dict[Key, Judged]:
    """By prompt and evaluator version, what was settled since then and what waits now, in the order of their names."""
    rows = Evaluation.objects.filter(reach.rows(prompt="prompt__name", label="call__label")).order_by()
    if prompt is not None:
        rows = rows.filter(prompt__name=prompt)
    found: dict[Key, Judged] = {}
    settled = rows.filter(_settled(since))
    for *by, status, missing, number, priced, cost_usd in settled.values_list(*BY, "status", "missing").annotate(
        number=Count("id"), priced=Count("cost_usd"), usd=Sum("cost_usd")
    ):
        of = found.setdefault(Key(*by), Judged())
        if status == EvaluationStatus.SCORED:
            of.scored += number
        else:
            of.missing[missing] += number
        of.priced += priced
        of.cost_usd += cost_usd or 0
    waiting = rows.filter(status=EvaluationStatus.WAITING).values_list(*BY)
    for *by, number, oldest in waiting.annotate(number=Count("id"), oldest=Min("created_at")):
        of = found.setdefault(Key(*by), Judged())
        of.waiting, of.oldest_at = number, oldest
    for key, of in found.items():
        latencies = _latencies(settled, key)
        of.latency_p50_ms, of.latency_p95_ms = _percentile(latencies, 0.5), _percentile(latencies, 0.95)
    return dict(sorted(found.items(), key=lambda item: (item[0].prompt, item[0].evaluator, item[0].ordinal)))


def looked_at_since(since: datetime) -> Mapping[Key, Judged]:
    """By prompt and evaluator version, since then: how many gave a score, how many are missing why, how many failed and
    are tried again."""
    found: dict[Key, Judged] = {}
    rows = Evaluation.objects.filter(_settled(since)).order_by().values_list(*BY, "status", "missing")
    for *by, status, missing, number in rows.annotate(number=Count("id")):
        of = found.setdefault(Key(*by), Judged())
        if status == EvaluationStatus.SCORED:
            of.scored += number
        else:
            of.missing[missing] += number
    for key, number in _tried_since(since):
        found.setdefault(key, Judged()).tried = number
    return found


def waiting() -> Waiting:
    """What waits to be judged, of all prompts. Reads no more than what waits."""
    with connection.cursor() as cursor:  # past the ORM: as a parameter SQLite does not see that the index is for this
        cursor.execute(WAITING)
        by_urgency = {bool(urgent): (number, at) for urgent, number, at in cursor.fetchall()}
    oldest = min((at for _, at in by_urgency.values()), default=None)
    return Waiting(
        number=sum(number for number, _ in by_urgency.values()),
        urgent=by_urgency.get(True, (0, None))[0],
        oldest_at=_as_time(oldest),
    )


def outcomes(since: datetime) -> Counter[str]:
    """How many evaluations were settled since then, by what came of them: scored, or missing for a reason."""
    rows = Evaluation.objects.filter(_settled(since)).order_by().values_list("status", "missing")
    counts: Counter[str] = Counter()
    for status, missing, number in rows.annotate(number=Count("id")):
        counts[missing or status] += number
    return counts


def waits() -> set[Key]:
    """Of which prompts and evaluator versions anything waits."""
    rows = Evaluation.objects.filter(status=EvaluationStatus.WAITING).order_by()
    return {Key(*by) for by in rows.values_list(*BY).distinct()}


def stopped_by_budget(*, prompt_id: int, since: date) -> int:
    """How many calls of a prompt were not judged for its budget, of those chosen on that day (UTC) or later."""
    chosen = Evaluation.objects.filter(prompt_id=prompt_id, created_at__gte=midnight(since))
    return chosen.filter(missing=Missing.BUDGET).count()


def commonest(missing: Mapping[str, int], *, but: Collection[str] = ()) -> Missing | None:
    """The reason of most; of equal ones the first in the order of Missing."""
    reasons = [reason for reason in Missing if missing.get(reason) and reason not in but]
    return max(reasons, key=lambda reason: missing[reason], default=None)


def _tried_since(since: datetime) -> Iterator[tuple[Key, int]]:
    """What waits for its next attempt since one failed. When that was follows from how long it waits: at the earliest
    then, as waits are spread and a judge may ask for a longer one."""
    adapt = connection.ops.adapt_datetimefield_value
    bounds = [adapt(since + wait) for wait in LONGEST_WAITS]
    with connection.cursor() as cursor:
        cursor.execute(TRIED, [False, True, bounds[0], *bounds])
        found = cursor.fetchall()
    prompts = Prompt.objects.in_bulk([prompt_id for prompt_id, _, _ in found])
    versions = EvaluatorVersion.objects.select_related("evaluator").in_bulk([version_id for _, version_id, _ in found])
    for prompt_id, version_id, number in found:
        version = versions[version_id]
        yield Key(prompts[prompt_id].name, version.evaluator.name, version.ordinal), number


def _settled(since: datetime) -> Q:
    """By the index, which is by evaluator version first."""
    return Q(settled_at__gte=since, evaluator_version__in=list(EvaluatorVersion.objects.values_list("id", flat=True)))


def _as_time(stored: Any) -> datetime | None:
    """SQLite keeps times as text."""
    if isinstance(stored, str):
        return datetime.fromisoformat(stored).replace(tzinfo=UTC)
    return stored if isinstance(stored, datetime) else None


def _latencies(settled: QuerySet[Evaluation], key: Key) -> Sequence[float]:
    asked = settled.filter(
        prompt__name=key.prompt,
        evaluator_version__evaluator__name=key.evaluator,
        evaluator_version__ordinal=key.ordinal,
        latency_ms__isnull=False,
    )
    newest = asked.order_by("-id").values_list("latency_ms", flat=True)[:MOST_LATENCIES]
    return sorted(latency for latency in newest if latency is not None)


def _percentile(ascending: Sequence[float], share: float) -> float | None:
    """The least value that the share of them does not exceed."""
    if not ascending:
        return None
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]

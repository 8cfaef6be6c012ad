"""Scores: recorded once, joined to their calls in whatever order both arrive, counted as evidence once.

A score that comes before its call waits; the transaction that brings the call joins it. Where both arrive at the same
moment in two transactions of PostgreSQL, neither sees the other: `join_waiting_scores` looks at such scores again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from django.db import connection, transaction
from django.db.models import Q

from common.clock import now
from common.ids import new_id
from observability import bulk, evidence
from observability.core.evidence import BY_EXPOSURE_ALONE, Exposure, Observation, bin_of, parse_exposure
from observability.core.scores import NewScore, targets_of_call
from observability.models import Call, Score

# Far longer than any transaction lives: a call not found by then did not arrive at the same moment as its score.
RECHECKED_FOR = timedelta(seconds=60)
MOST_RECHECKED = 5_000
MOST_TARGETS = 10_000  # in one statement

COLUMNS = (
    *("key", "target", "waiting", "recheck", "counts", "name", "value", "label", "comment", "source", "evaluator"),
    "received_at",
)
JOIN = "UPDATE observability_score SET call_id = %s, counts = %s, waiting = %s, recheck = %s WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Recorded:
    """accepted: newly recorded, of which `waiting` have no call yet; duplicates: their id was known before."""

    accepted: int
    duplicates: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Unjoined:
    """A recorded score that looks for its call."""

    id: int
    target: str
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class ScoredCall:
    """What a score needs to know of its call. version_id: None where the call names no known version."""

    id: int
    exposure: Exposure | None
    version_id: int | None
    is_llm_call: bool


def record_scores(*, scores: Sequence[NewScore]) -> Recorded:
    """Record the scores; of several with the same id the first wins, now and later."""
    first: dict[str, NewScore] = {}
    for score in scores:
        first.setdefault(score.id or new_id("sco"), score)
    with transaction.atomic():
        written = [(id_, first[key]) for id_, key in _insert(first, now())]
        unjoined = [Unjoined(id_, s.target, s.name, s.value) for id_, s in written if s.names_a_call]
        calls = _find_calls({score.target for score in unjoined})
        by_exposure = [_by_exposure(score) for _, score in written if not score.names_a_call]
        evidence.add([*by_exposure, *_join(unjoined, calls)])
    waiting = sum(score.target not in calls for score in unjoined)
    return Recorded(accepted=len(written), duplicates=len(scores) - len(written), waiting=waiting)


def join_waiting_scores() -> int:
    """Join the scores whose calls were written at the same moment; answers how many. To be called every few seconds.

    Looks only at scores that came within the last minute: all others were seen by the writer of their call.
    """
    if not Score.objects.filter(recheck=True).exists():
        return 0
    with transaction.atomic():
        due = Score.objects.filter(recheck=True).select_for_update().order_by("id")[:MOST_RECHECKED]
        scores = [Unjoined(*row) for row in due.values_list("id", "target", "name", "value")]
        calls = _find_calls({score.target for score in scores})
        evidence.add(_join(scores, calls))
        Score.objects.filter(recheck=True, received_at__lt=now() - RECHECKED_FOR).update(recheck=False)
    return sum(score.target in calls for score in scores)


def is_any_score_waiting() -> bool:
    with connection.cursor() as cursor:  # asked for every request of traces, and the ORM takes ten times as long
        cursor.execute("SELECT 1 FROM observability_score WHERE waiting LIMIT 1")
        return cursor.fetchone() is not None


def join_scores_to(calls: Mapping[str, ScoredCall]) -> list[Observation]:
    """Join the waiting scores of new calls, given by target, in the caller's transaction; answers with their evidence.

    The caller adds it to its own, so that all counters of one transaction are locked in order.
    """
    targets = list(calls)
    scores: list[Unjoined] = []
    for start in range(0, len(targets), MOST_TARGETS):
        waiting = Score.objects.filter(waiting=True, target__in=targets[start : start + MOST_TARGETS])
        rows = waiting.select_for_update().order_by("id").values_list("id", "target", "name", "value")
        scores += [Unjoined(*row) for row in rows]
    return _join(scores, calls)


def observations_of(calls: Sequence[ScoredCall]) -> list[Observation]:
    """The evidence of the scores that calls had before they became evidence themselves."""
    by_id = {call.id: call for call in calls}
    if not by_id:
        return []
    counting = Score.objects.filter(call_id__in=by_id, counts=True).order_by("id")
    rows = counting.values_list("call_id", "name", "value")
    return list(chain.from_iterable(_observations(by_id[call_id or 0], name, value) for call_id, name, value in rows))


def move(*, from_call: int, to_call: int) -> None:
    """Give one call the scores of another that turned out to be the same; what counted for either goes on counting."""
    counted = set(Score.objects.filter(call_id=to_call, counts=True).values_list("name", flat=True))
    scores = Score.objects.filter(call_id=from_call)
    scores.filter(name__in=counted).update(counts=False)
    scores.update(call_id=to_call)


def _insert(scores: Mapping[str, NewScore], received_at: datetime) -> list[tuple[int, str]]:
    """(id, key) of the scores that were not known."""
    at = connection.ops.adapt_datetimefield_value(received_at)
    rows = [
        (
            *(key, s.target, s.names_a_call, s.names_a_call, not s.names_a_call),
            *(s.name, s.value, s.label, s.comment, s.source, s.evaluator, at),
        )
        for key, s in scores.items()
    ]
    written = bulk.insert(Score, COLUMNS, rows, on_conflict="(key) DO NOTHING", returning=("id", "key"))
    return sorted((int(id_), str(key)) for id_, key in written)


def _find_calls(targets: Collection[str]) -> dict[str, ScoredCall]:
    """Target → the newest call it means. The calls stay locked, so that two scores do not both count as the first."""
    if not targets:
        return {}
    by_kind: dict[str, list[str]] = {"span": [], "response": [], "trace": []}
    for target in targets:
        kind, _, name = target.partition(":")
        by_kind[kind].append(name)
    named = (
        Q(span_id__in=[bytes.fromhex(name[-16:]) for name in by_kind["span"]])
        | Q(response_id__in=by_kind["response"])
        | Q(trace_id__in=[bytes.fromhex(name) for name in by_kind["trace"]])
    )
    calls = Call.objects.filter(named).select_for_update(no_key=True).order_by("id")
    return {
        target: ScoredCall(call.pk, call.exposure, call.version_id, call.is_llm_call)
        for call in sorted(calls, key=lambda call: call.started_at)
        for target in targets_of_call(
            trace_id=bytes(call.trace_id),
            span_id=bytes(call.span_id),
            response_id=call.response_id,
            has_prompt=call.prompt_name is not None,
            is_llm_call=call.is_llm_call,
        )
        if target in targets
    }


def _join(scores: Sequence[Unjoined], calls: Mapping[str, ScoredCall]) -> list[Observation]:
    """Give each score its call; the first of its name for the call counts and, under an exposure, is evidence."""
    found = [(score, calls[score.target]) for score in scores if score.target in calls]
    if not found:
        return []
    ids = {call.id for _, call in found}
    counted = set(Score.objects.filter(call_id__in=ids, counts=True).values_list("call_id", "name"))
    updates: list[tuple[int, bool, bool, bool, int]] = []
    observations: list[Observation] = []
    for score, call in found:
        counts = (call.id, score.name) not in counted
        counted.add((call.id, score.name))
        updates.append((call.id, counts, False, False, score.id))
        observations += _observations(call, score.name, score.value) if counts else []
    with connection.cursor() as cursor:
        cursor.executemany(JOIN, updates)
    return observations


def _by_exposure(score: NewScore) -> Observation:
    return Observation(parse_exposure(score.exposure or ""), BY_EXPOSURE_ALONE, score.name, bin_of(score.value))


def _observations(call: ScoredCall, name: str, value: float) -> list[Observation]:
    """One, where a rollout is judged by the call."""
    if not (call.is_llm_call and call.exposure and call.version_id):
        return []
    return [Observation(call.exposure, call.version_id, name, bin_of(value))]

"""Scores: recorded once, joined to their calls in whatever order both arrive, counted as evidence once.

A score that comes before its call waits; the transaction that brings the call joins it. Where both arrive at the same
moment in two transactions of PostgreSQL, neither sees the other: `join_waiting_scores` looks at such scores again.

Where a rollout pinned an evaluator, only scores of that version of it count for the rollout's calls; others of the name
are kept and shown. A score whose call was chosen for what became of it may count, but is no evidence.

An OpenTelemetry evaluation may be sent twice, as a span event and as a log record, and name the span here and the
response there. Two that say the same of the same target or call within a second are one: the second is not stored, or
deleted when it is joined. Whoever joins holds the call's lock, so of two that come at once one sees the other.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from common.clock import now
from common.ids import new_id
from observability import bulk, evidence
from observability.core.evidence import BY_EXPOSURE_ALONE, Exposure, Observation, bin_of, parse_exposure
from observability.core.scores import SAME_WITHIN_NS, NewScore
from observability.core.times import moment
from observability.models import Call, Score, Span
from observability.rollups import mark_stale
from observability.selectors.pins import Pins, pins
from observability.services.scored_calls import ScoredCall, find_calls

# Far longer than any transaction lives: a call not found by then did not arrive at the same moment as its score.
RECHECKED_FOR = timedelta(seconds=60)
MOST_RECHECKED = 5_000
MOST_TARGETS = 10_000  # in one statement
MOST_AT_ONCE = 5_000  # of which each names several targets in one statement

SAME_WITHIN = timedelta(microseconds=SAME_WITHIN_NS // 1000)

COLUMNS = (
    *("key", "target", "second_target", "waiting", "recheck", "counts", "name", "value", "label", "comment", "source"),
    *("evaluator", "evaluated_at", "received_at", "probability", "by_design"),
)
TURN = "UPDATE observability_score SET target = %s WHERE id = %s"
JOIN = "UPDATE observability_score SET call_id = %s, counts = %s, waiting = %s, recheck = %s WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Recorded:
    """accepted: newly recorded, of which `waiting` have no call yet; duplicates: those that were known before."""

    accepted: int
    duplicates: int
    waiting: int

    def __add__(self, other: "Recorded") -> "Recorded":
        return Recorded(
            self.accepted + other.accepted, self.duplicates + other.duplicates, self.waiting + other.waiting
        )


class Given(NamedTuple):
    """What decides whether a score counts and is evidence, in the order of GIVEN."""

    name: str
    value: float
    evaluator: str | None
    probability: float | None
    by_design: bool

    def counts_under(self, exposure: Exposure | None, pinned: Pins) -> bool:
        """Whether its call's rollout, if any, lets it."""
        pin = pinned.get((exposure.rollout, self.name)) if exposure else None
        return pin is None or pin.admits(evaluator=self.evaluator, probability=self.probability)


GIVEN = Given._fields


class Unjoined(NamedTuple):
    """A recorded score that looks for its call, in the order of LOOKED_AT."""

    id: int
    target: str
    second_target: str | None
    evaluated_at: datetime | None
    given: Given

    @classmethod
    def of(cls, row: Sequence[Any]) -> "Unjoined":
        id_, target, second_target, evaluated_at, *given = row
        return cls(id_, target, second_target, evaluated_at, Given(*given))

    def call_among(self, calls: Mapping[str, ScoredCall]) -> ScoredCall | None:
        return calls.get(self.target) or calls.get(self.second_target or "")


LOOKED_AT = (*Unjoined._fields[:-1], *GIVEN)


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of scores that looked for their calls: the evidence, and how many were repeats and are gone."""

    observations: list[Observation]
    found: int = 0
    repeats: int = 0


def record_scores(*, scores: Sequence[NewScore]) -> Recorded:
    """Record the scores; of several that are the same, by id or by what they say, the first wins, now and later."""
    with transaction.atomic():
        recorded, observations = record(scores=scores)
        evidence.add(observations)
    return recorded


def record(*, scores: Sequence[NewScore]) -> tuple[Recorded, list[Observation]]:
    """As record_scores, in the caller's transaction; answers also with the evidence.

    The caller adds it to its own, so that all counters of one transaction are locked in order.
    """
    recorded, observations = Recorded(0, 0, 0), []
    for start in range(0, len(scores), MOST_AT_ONCE):
        chunk, found = _record(scores[start : start + MOST_AT_ONCE])
        recorded += chunk
        observations += found
    return recorded, observations


def join_waiting_scores() -> int:
    """Join the scores whose calls were written at the same moment; answers how many. To be called every few seconds.

    Looks only at scores that came within the last minute: all others were seen by the writer of their call.
    """
    if not Score.objects.filter(recheck=True).exists():
        return 0
    with transaction.atomic():
        due = Score.objects.filter(recheck=True).order_by("id")
        calls = find_calls(_targets(Unjoined.of(row) for row in due.values_list(*LOOKED_AT)[:MOST_RECHECKED]))
        # Locked after the calls, as by whoever brings calls, who would else wait for these and be waited for.
        locked = due.select_for_update().values_list(*LOOKED_AT)[:MOST_RECHECKED]
        joined = _join([Unjoined.of(row) for row in locked], calls)
        overdue = Score.objects.filter(recheck=True, received_at__lt=now() - RECHECKED_FOR)
        about_traces = _turn_to_traces(overdue)
        joined_by_trace = _join(about_traces, find_calls(_targets(about_traces)))
        evidence.add([*joined.observations, *joined_by_trace.observations])
        overdue.update(recheck=False)
    return joined.found + joined_by_trace.found


def give_up_waiting_scores() -> int:
    """Stop waiting for calls that did not come within SCORES_WAIT; answers for how many. To be called every minute."""
    overdue = Score.objects.filter(waiting=True, received_at__lt=now() - settings.SCORES_WAIT)
    return overdue.update(waiting=False, recheck=False, gave_up=True)


def is_any_score_waiting() -> bool:
    with connection.cursor() as cursor:  # asked for every request of traces, and the ORM takes ten times as long
        cursor.execute("SELECT 1 FROM observability_score WHERE waiting LIMIT 1")
        return cursor.fetchone() is not None


def join_scores_to(calls: Mapping[str, ScoredCall]) -> list[Observation]:
    """Join the waiting scores of new calls, given by target, in the caller's transaction; answers with their evidence.

    The caller adds it to its own, so that all counters of one transaction are locked in order.
    """
    targets = list(calls)
    ids: set[int] = set()
    for start in range(0, len(targets), MOST_TARGETS):
        ids |= _waiting_for(targets[start : start + MOST_TARGETS])
    if not ids:
        return []
    locked = Score.objects.filter(id__in=ids, waiting=True).select_for_update().order_by("id")
    return _join([Unjoined.of(row) for row in locked.values_list(*LOOKED_AT)], calls).observations


def observations_of(calls: Sequence[ScoredCall]) -> list[Observation]:
    """The evidence of the scores that calls had before they became evidence themselves."""
    by_id = {call.id: call for call in calls}
    if not by_id:
        return []
    counting = Score.objects.filter(call_id__in=by_id, counts=True).order_by("id")
    rows = [(by_id[call_id or 0], Given(*given)) for call_id, *given in counting.values_list("call_id", *GIVEN)]
    pinned = _pinned(call for call, _ in rows)
    return list(chain.from_iterable(_observations(call, given, pinned) for call, given in rows))


def move(*, from_calls: Collection[int], to_call: ScoredCall, were_evidence: Collection[int]) -> list[Observation]:
    """Give a stored call the scores of others that turned out to be the same; answers with what is evidence only now.

    were_evidence: those of the calls whose scores that count are evidence already. Of each name such a one goes on
    counting, else the first.
    """
    rows = Score.objects.filter(call_id__in=[to_call.id, *from_calls], counts=True).order_by("id")
    counting: set[str] = set()
    repeats, observations = [], []
    in_order = sorted(rows.values_list("call_id", "id", *GIVEN), key=lambda row: row[0] not in were_evidence)
    pinned = _pinned([to_call] if in_order else [])
    for call_id, id_, *columns in in_order:
        given = Given(*columns)
        if given.name in counting or not given.counts_under(to_call.exposure, pinned):
            repeats.append(id_)
            continue
        counting.add(given.name)
        if call_id not in were_evidence:
            observations += _observations(to_call, given, pinned)
    Score.objects.filter(id__in=repeats).update(counts=False)
    Score.objects.filter(call_id__in=from_calls).update(call_id=to_call.id)
    return observations


def _waiting_for(targets: Sequence[str]) -> set[int]:
    """Ids of the scores that wait for any of these; each target by its own index, which SQLite does not use for OR."""
    waiting = Score.objects.filter(waiting=True).order_by().values_list("id")
    by_first = waiting.filter(target__in=targets)
    by_second = waiting.filter(second_target__isnull=False, second_target__in=targets)
    return {id_ for (id_,) in by_first.union(by_second)}


def _record(scores: Sequence[NewScore]) -> tuple[Recorded, list[Observation]]:
    first: dict[str, NewScore] = {}
    for score in scores:
        first.setdefault(score.key or new_id("sco"), score)
    new = _without_repeats(first)
    exposures = {key: parse_exposure(s.exposure or "") for key, s in new.items() if not s.names_a_call}
    pinned = pins({exposure.rollout for exposure in exposures.values()})
    counting = {key for key, exposure in exposures.items() if _given(new[key]).counts_under(exposure, pinned)}
    written = [(id_, key, first[key]) for id_, key in _insert(new, counting, now())]
    unjoined = [
        Unjoined(id_, s.target, s.second_target, _evaluated_at(s), _given(s)) for id_, _, s in written if s.names_a_call
    ]
    by_exposure = [_by_exposure(exposures[key], s) for _, key, s in written if key in counting and s.by_design]
    joined = _join(unjoined, find_calls(_targets(unjoined)))
    accepted = len(written) - joined.repeats
    recorded = Recorded(accepted, duplicates=len(scores) - accepted, waiting=len(unjoined) - joined.found)
    return recorded, [*by_exposure, *joined.observations]


def _given(score: NewScore) -> Given:
    return Given(*(getattr(score, name) for name in GIVEN))


def _pinned(calls: Iterable[ScoredCall]) -> Pins:
    return pins({call.exposure.rollout for call in calls if call.exposure})


def _turn_to_traces(overdue: QuerySet[Score]) -> list[Unjoined]:
    """Evaluations in spans that are stored and no calls, such as of an app's request: they are about the trace.

    So are span events in such spans, from the beginning (core.evaluations); of a log record it shows when its span has
    come.
    """
    in_spans = overdue.filter(evaluated_at__isnull=False, second_target__isnull=True, target__startswith="span:")
    scores = [Unjoined.of(row) for row in in_spans.order_by("id").values_list(*LOOKED_AT)[:MOST_RECHECKED]]
    ids = [bytes.fromhex(score.target.removeprefix("span:").replace(":", "")) for score in scores]  # trace, then span
    known = Span.objects.filter(trace_id__in={id_[:16] for id_ in ids}, span_id__in={id_[16:] for id_ in ids})
    stored = {bytes(trace_id) + bytes(span_id) for trace_id, span_id in known.values_list("trace_id", "span_id")}
    turned = [
        score._replace(target=f"trace:{id_[:16].hex()}")
        for score, id_ in zip(scores, ids, strict=True)
        if id_ in stored
    ]
    with connection.cursor() as cursor:
        cursor.executemany(TURN, [(score.target, score.id) for score in turned])
    return turned


def _targets(scores: Iterable[Unjoined]) -> set[str]:
    return {target for score in scores for target in (score.target, score.second_target) if target}


def _evaluated_at(score: NewScore) -> datetime | None:
    return None if score.evaluated_ns is None else moment(score.evaluated_ns)


def _without_repeats(scores: Mapping[str, NewScore]) -> dict[str, NewScore]:
    """The scores without evaluations that say, within a second, what another one says of the same target."""
    targets = {s.target for s in scores.values() if s.evaluated_ns is not None and s.names_a_call}
    said: dict[tuple[str, str, float], list[datetime]] = defaultdict(list)
    known = Score.objects.filter(target__in=targets, evaluated_at__isnull=False) if targets else Score.objects.none()
    for target, name, value, at in known.values_list("target", "name", "value", "evaluated_at"):
        if at is not None:
            said[target, name, value].append(at)
    kept = {}
    for key, score in scores.items():
        at = _evaluated_at(score) if score.names_a_call else None
        if not _is_repeat(at, said[score.target, score.name, score.value]):
            kept[key] = score
    return kept


def _is_repeat(at: datetime | None, said: list[datetime]) -> bool:
    """Whether it was said within a second of this moment; if not, it is now. A score without a moment never was."""
    if at is None:
        return False
    if any(abs(at - other) <= SAME_WITHIN for other in said):
        return True
    said.append(at)
    return False


def _insert(scores: Mapping[str, NewScore], counting: Collection[str], received_at: datetime) -> list[tuple[int, str]]:
    """(id, key) of the scores that were not known. counting: keys of those by exposure alone that count."""
    adapt = connection.ops.adapt_datetimefield_value
    at = adapt(received_at)
    rows = [
        (
            *(key, s.target, s.second_target, s.names_a_call, s.names_a_call, key in counting),
            *(s.name, s.value, s.label, s.comment, s.source, s.evaluator, adapt(_evaluated_at(s)), at),
            *(s.probability, s.by_design),
        )
        for key, s in scores.items()
    ]
    written = bulk.insert(Score, COLUMNS, rows, on_conflict="(key) DO NOTHING", returning=("id", "key"))
    return sorted((int(id_), str(key)) for id_, key in written)


def _join(scores: Sequence[Unjoined], calls: Mapping[str, ScoredCall]) -> Joined:
    """Give each score its call; the first of its name for the call counts and, under an exposure, is evidence."""
    found = [(score, call) for score in scores if (call := score.call_among(calls))]
    if not found:
        return Joined([])
    counted: set[tuple[int, str]] = set()
    said: dict[tuple[int, str, float], list[datetime]] = defaultdict(list)
    ids = {call.id for _, call in found}
    mark_stale(set(Call.objects.filter(pk__in=ids).values_list("started_at", flat=True)))
    joined_before = Score.objects.filter(call_id__in=ids)
    for call_id, name, value, at, counts in joined_before.values_list(
        "call_id", "name", "value", "evaluated_at", "counts"
    ):
        if counts:
            counted.add((call_id, name))
        if at is not None:
            said[call_id, name, value].append(at)
    pinned = _pinned(call for _, call in found)
    updates, repeats, observations = [], [], []
    for score, call in found:
        given = score.given
        if _is_repeat(score.evaluated_at, said[call.id, given.name, given.value]):
            repeats.append(score.id)
            continue
        counts = (call.id, given.name) not in counted and given.counts_under(call.exposure, pinned)
        if counts:
            counted.add((call.id, given.name))
            observations += _observations(call, given, pinned)
        updates.append((call.id, counts, False, False, score.id))
    with connection.cursor() as cursor:
        cursor.executemany(JOIN, updates)
    Score.objects.filter(id__in=repeats).delete()
    return Joined(observations, len(found), len(repeats))


def _by_exposure(exposure: Exposure, score: NewScore) -> Observation:
    return Observation(exposure, BY_EXPOSURE_ALONE, score.name, bin_of(score.value))


def _observations(call: ScoredCall, given: Given, pinned: Pins) -> list[Observation]:
    """One, where a rollout is judged by the call."""
    if not (call.is_llm_call and call.exposure and call.version_id):
        return []
    if not (given.by_design and given.counts_under(call.exposure, pinned)):
        return []
    return [Observation(call.exposure, call.version_id, given.name, bin_of(given.value))]

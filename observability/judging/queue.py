"""The durable queue of what is to be judged: each evaluation gives one score, or says why there is none. Never a zero.

Whoever claims an evaluation has a lease of it, asks outside any transaction, and settles what came of it in one, with
the score. A worker that dies in between loses nothing: its lease runs out and another one asks again. It doubles
nothing either: who comes back after his lease has gone to another is not listened to, and the score has a key of its
evaluation. Evaluations of rollouts go first, beside one of another kind in ten.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils.crypto import salted_hmac

from common.clock import now
from observability import evidence
from observability.core.scores import NewScore
from observability.judging import budgets, retries, texts
from observability.judging.judgements import Judgement, Material, Missed
from observability.judging.sampling import needs_documents
from observability.models import (
    Call,
    Evaluation,
    EvaluationStatus,
    EvaluationText,
    EvaluatorKind,
    EvaluatorVersion,
    Missing,
    Score,
    ScoreSource,
)
from observability.services import scores
from observability.texts import scrubbed_text

logger = logging.getLogger(__name__)

LEASE_BEYOND_DEADLINE = timedelta(seconds=60)
MOST_ROUNDS = 25  # of looking for one that may be asked, among those that may not
TOO_OLD_AFTER = timedelta(hours=22)  # the texts are forgotten after 23 (observability.retention)
OF_THE_CALL = frozenset({Missing.NO_OUTPUT, Missing.NO_TEXT, Missing.NO_CONTEXTS, Missing.BUDGET})  # no judge's fault

# Past the ORM, since SQLite uses no partial index for a condition whose value comes as a parameter.
DUE = (
    "SELECT id FROM observability_evaluation WHERE status = 'waiting' AND urgent = %s AND next_attempt_at <= %s"
    " AND (lease_until IS NULL OR lease_until <= %s) ORDER BY next_attempt_at LIMIT %s"
)

Outcome = Judgement | Missed


@dataclass(frozen=True, slots=True)
class Claimed:
    """An evaluation that is leased to the caller alone, with all that its evaluator needs."""

    id: int
    lease_until: datetime
    urgent: bool
    version: EvaluatorVersion
    material: Material


def claim(*, most: int, others: int = 0) -> list[Claimed]:
    """At most so many that are due, leased to the caller. others: how many of them at least are of no rollout, if
    there are any. What may not be asked any more is settled on the way."""
    claimed: list[Claimed] = []
    for _ in range(MOST_ROUNDS):
        # Asked without a lock first, for mostly there is nothing to do.
        if claimed or not _due(most=1, others=0, lock=False):
            break
        claimed = _claim(most, others)
    return claimed


@transaction.atomic
def _claim(most: int, others: int) -> list[Claimed]:
    moment = now()
    ids = _due(most=most, others=others, lock=True)
    due = list(_with_all(Evaluation.objects.filter(id__in=ids)).order_by("prompt_id", "id"))
    refused = [(evaluation, why) for evaluation in due if (why := _why_not(evaluation, moment))]
    for evaluation, why in refused:
        _end(evaluation, why, moment)
    texts.drop_of_settled({e.call_id: bytes(e.call.trace_id) for e, _ in refused})
    claimed = [evaluation for evaluation in due if evaluation.status == EvaluationStatus.WAITING]
    until = moment + settings.JUDGE_DEADLINE + LEASE_BEYOND_DEADLINE
    leased = Evaluation.objects.filter(id__in=[evaluation.pk for evaluation in claimed])
    leased.update(lease_until=until, attempts=F("attempts") + 1)
    return _claimed(claimed, until)


def settle(answers: Sequence[tuple[Claimed, Outcome]]) -> None:
    """Write what became of them, in one transaction; of those whose lease has gone to another meanwhile nothing."""
    by_id = {claimed.id: (claimed, outcome) for claimed, outcome in answers}
    with transaction.atomic():
        moment = now()
        rows = Evaluation.objects.filter(id__in=by_id)
        # Calls before evaluations, as ingest has it, which gives a call's evaluations to its twin.
        calls = Call.objects.filter(id__in=list(rows.order_by().values_list("call_id", flat=True)))
        list(calls.select_for_update(no_key=True).order_by("id").values_list("id"))
        locked = list(_with_all(rows).select_for_update(of=("self",)).order_by("id"))
        ours = [row for row in locked if _is_leased_by(row, by_id[row.pk][0])]
        judged = [(row, out) for row in ours if isinstance(out := by_id[row.pk][1], Judgement)]
        given = _record(judged)
        for row in ours:
            _note_asking(row, by_id[row.pk][1])
        for row, _ in judged:
            row.score_id = given.get(_key(row))
            _close(row, EvaluationStatus.SCORED, moment)
        for row in ours:
            if isinstance(outcome := by_id[row.pk][1], Missed):
                _miss(row, outcome, moment)
        budgets.spend(_costs([(row, by_id[row.pk][1]) for row in ours]), moment.date())
        texts.drop_of_settled(
            {row.call_id: bytes(row.call.trace_id) for row in ours if row.status != EvaluationStatus.WAITING}
        )


def release(claims: Sequence[Claimed]) -> None:
    """Give back what will not be asked after all, so that nobody has to wait for the lease to run out."""
    for claimed in claims:
        mine = Evaluation.objects.filter(id=claimed.id, lease_until=claimed.lease_until, attempts__gt=0)
        mine.filter(status=EvaluationStatus.WAITING).update(lease_until=None, attempts=F("attempts") - 1)


def _due(*, most: int, others: int, lock: bool) -> list[int]:
    """Ids of what is due, in the order of who waited longest: so many others, then of rollouts, then others again."""
    skip = " FOR UPDATE SKIP LOCKED" if lock and connection.features.has_select_for_update_skip_locked else ""
    at = connection.ops.adapt_datetimefield_value(now())
    found: list[int] = []
    with connection.cursor() as cursor:
        for urgent, places in ((False, others), (True, most), (False, most)):
            left = min(places, most - len(found))
            if left > 0:
                cursor.execute(DUE + skip, [urgent, at, at, left + len(found)])
                found += [id_ for (id_,) in cursor.fetchall() if id_ not in found][:left]
    return found


def _with_all(rows: QuerySet[Evaluation]) -> QuerySet[Evaluation]:
    return rows.select_related("call__version", "evaluator_version__evaluator", "evaluator_version__template")


def _why_not(evaluation: Evaluation, moment: datetime) -> Missing | None:
    """Why it is not asked any more. attempts: as many as workers began, also those that died of it."""
    if evaluation.created_at < moment - TOO_OLD_AFTER:
        return Missing.TOO_OLD
    if evaluation.attempts >= retries.MOST_ATTEMPTS:
        return Missing.FAILED
    kind, is_first = evaluation.evaluator_version.kind, evaluation.attempts == 0
    if not budgets.take(evaluation.prompt_id, moment.date(), kind=kind, is_first_attempt=is_first):
        return Missing.BUDGET
    return None


def _claimed(evaluations: Sequence[Evaluation], until: datetime) -> list[Claimed]:
    kept = EvaluationText.objects.in_bulk([evaluation.call_id for evaluation in evaluations])
    of_traces = {bytes(e.call.trace_id) for e in evaluations if needs_documents(e.evaluator_version)}
    documents = texts.documents_of_traces(of_traces) if of_traces else {}
    return [
        Claimed(e.pk, until, e.urgent, e.evaluator_version, _material(e.call, kept.get(e.call_id), documents))
        for e in evaluations
    ]


def _material(call: Call, text: EvaluationText | None, documents: dict[bytes, list[str]]) -> Material:
    return Material(
        input_text=text.input_text if text else None,
        output_text=text.output_text if text else None,
        documents=documents.get(bytes(call.trace_id), []),
        finish_reason=call.finish_reason,
        response_schema=call.version.response_schema if call.version else None,
    )


def _is_leased_by(row: Evaluation, claimed: Claimed) -> bool:
    return row.status == EvaluationStatus.WAITING and row.lease_until == claimed.lease_until


def _record(judged: Sequence[tuple[Evaluation, Judgement]]) -> dict[str, int]:
    """Record the scores; their ids, by key."""
    if not judged:
        return {}
    new = [_score(row, judgement) for row, judgement in judged]
    _, observations = scores.record(scores=new)
    evidence.add(observations)
    return dict(Score.objects.filter(key__in=[score.id for score in new if score.id]).values_list("key", "id"))


def _key(row: Evaluation) -> str:
    """Of the evaluation's score. Clients give ids to their scores too, and of two with one id the first is kept: so no
    client can know this one."""
    return f"evaluation:{row.pk}:{salted_hmac('observability.judging.queue', str(row.pk)).hexdigest()[:32]}"


def _score(row: Evaluation, judgement: Judgement) -> NewScore:
    version = row.evaluator_version
    return NewScore(
        name=version.evaluator.score,
        value=judgement.value,
        source=ScoreSource.CHECK if version.kind == EvaluatorKind.CHECK else ScoreSource.JUDGE,
        id=_key(row),
        trace_id=bytes(row.call.trace_id).hex(),
        span_id=bytes(row.call.span_id).hex(),
        label=judgement.label,
        comment=scrubbed_text(judgement.reason),  # a judge quotes what it was given, or puts it together anew
        evaluator=str(version),
        probability=row.probability,
        by_design=row.by_design,
    )


def _note_asking(row: Evaluation, outcome: Outcome) -> None:
    """What all attempts took together."""
    row.model = outcome.model or row.model
    if outcome.cost_usd is not None:
        row.cost_usd = (row.cost_usd or Decimal(0)) + outcome.cost_usd
    if outcome.latency_ms is not None:
        row.latency_ms = (row.latency_ms or 0) + outcome.latency_ms


def _miss(row: Evaluation, missed: Missed, moment: datetime) -> None:
    wait = retries.wait_after(row.attempts, retry_after_s=missed.retry_after_s) if missed.try_again else None
    if missed.missing not in OF_THE_CALL:
        told = {"evaluation": row.pk, "evaluator": str(row.evaluator_version), "missing": missed.missing.value}
        told |= {"detail": missed.detail, "attempts": row.attempts, "given_up": wait is None}
        if wait is None:
            logger.warning("judging.missed", extra=told)
        else:  # a judge that is away would fill the log; judge_failing tells of it
            logger.debug("judging.missed", extra=told)
    if wait is None:
        row.missing = missed.missing
        _close(row, EvaluationStatus.MISSING, moment)
    else:
        row.next_attempt_at, row.lease_until = moment + wait, None
        row.save(update_fields=["next_attempt_at", "lease_until", "model", "cost_usd", "latency_ms"])


def _end(evaluation: Evaluation, why: Missing, moment: datetime) -> None:
    evaluation.missing = why
    _close(evaluation, EvaluationStatus.MISSING, moment)


def _close(row: Evaluation, status: EvaluationStatus, moment: datetime) -> None:
    row.status, row.settled_at, row.lease_until = status, moment, None
    fields = ["status", "missing", "settled_at", "lease_until", "score", "model", "cost_usd", "latency_ms"]
    row.save(update_fields=fields)


def _costs(answers: Sequence[tuple[Evaluation, Outcome]]) -> dict[int, Decimal]:
    costs: dict[int, Decimal] = defaultdict(Decimal)
    for row, outcome in answers:
        if outcome.cost_usd:
            costs[row.prompt_id] += outcome.cost_usd
    return costs

"""What may a restricted key bring in? Nothing that names a prompt, a label or an active rollout out of its reach.

It keeps keys apart by what is named. Who knows the ids of another's trace can still add to that: a span inherits from
its parent, and a score may come before its call.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256

from django.db import transaction

from common.errors import FieldError, Invalid
from observability.core.calls import CallFacts, Context, find_calls
from observability.core.evidence import parse_exposure
from observability.core.otlp import Batch
from observability.core.scores import NewScore
from observability.models import Call
from observability.services import scored_calls
from registry.models import Label
from registry.reach import Reach

OUT_OF_REACH = "of a prompt, label or rollout that the key does not reach"


def admitted(batch: Batch, reach: Reach) -> Batch:
    """The batch without the spans that name what is out of reach, themselves or by an ancestor; those are counted."""
    if reach.is_everything:
        return batch
    calls, contexts = find_calls(batch.spans)
    said = contexts | {call.key: call.context for call in calls}
    rollouts = _foreign_rollouts((context.exposure.rollout for context in said.values() if context.exposure), reach)
    outside = {key for key, context in said.items() if not _admits(context, reach, rollouts)}
    spans = [span for span in batch.spans if (span.trace_id, span.span_id) not in outside]
    rejected = batch.rejected.copy()
    if outside:
        rejected[OUT_OF_REACH] += len(batch.spans) - len(spans)
    return Batch(spans, rejected)


def check_calls(calls: Sequence[CallFacts], reach: Reach) -> None:
    """Raises Invalid naming the calls that are out of reach, by their place."""
    if reach.is_everything:
        return
    exposures = (call.context.exposure for call in calls)
    rollouts = _foreign_rollouts((exposure.rollout for exposure in exposures if exposure), reach)
    _refuse([index for index, call in enumerate(calls) if not _admits(call.context, reach, rollouts)])


def check_scores(scores: Sequence[NewScore], reach: Reach) -> None:
    """Raises Invalid naming the scores that are out of reach, by their place."""
    outside = out_of_reach(scores, reach)
    _refuse([index for index, score in enumerate(scores) if score in outside])


def with_own_id(score: NewScore, reach: Reach) -> NewScore:
    """Told apart from one that another key gave the same id: else whoever guesses an id first keeps that score out."""
    if reach.is_everything or score.id is None:
        return score
    told = f"{reach.prompt_prefix} {' '.join(sorted(reach.labels))}"
    return replace(score, id=f"{sha256(told.encode()).hexdigest()[:12]}:{score.id}")


def out_of_reach(scores: Sequence[NewScore], reach: Reach) -> set[NewScore]:
    """Those of a call that is known and out of reach, or of an exposure by such a rollout."""
    if reach.is_everything:
        return set()
    exposures = (parse_exposure(score.exposure) for score in scores if score.exposure)
    rollouts = _foreign_rollouts((exposure.rollout for exposure in exposures), reach)
    targets = _foreign_targets({score.target for score in scores if score.names_a_call}, reach)
    return {
        score
        for score in scores
        if score.target in targets or (score.exposure and parse_exposure(score.exposure).rollout in rollouts)
    }


def _admits(context: Context, reach: Reach, foreign_rollouts: set[str]) -> bool:
    """What names nothing may come in."""
    prompt, label, exposure = context.prompt_name, context.label, context.exposure
    return (
        (prompt is None or reach.sees(prompt))
        and (label is None or reach.may_use(label))
        and (exposure is None or exposure.rollout not in foreign_rollouts)
    )


def _foreign_rollouts(ids: Iterable[str], reach: Reach) -> set[str]:
    """Those that are active, by the labels that they hold; of others nothing is evidence any more."""
    held = Label.objects.filter(held_by__in=set(ids)).order_by().values_list("held_by", "prompt__name", "name")
    return {rollout for rollout, prompt, label in held if not (reach.sees(prompt) and reach.may_use(label))}


def _foreign_targets(targets: set[str], reach: Reach) -> set[str]:
    with transaction.atomic():  # find_calls locks what it finds
        found = scored_calls.find_calls(targets)
    calls = Call.objects.filter(pk__in={call.id for call in found.values()}).order_by()
    rows = list(calls.values_list("pk", "prompt_name", "label", "rollout"))
    rollouts = _foreign_rollouts((rollout for *_, rollout in rows if rollout), reach)
    foreign = {
        id_
        for id_, prompt, label, rollout in rows
        if rollout in rollouts or not _admits(Context(prompt_name=prompt, label=label), reach, set())
    }
    return {target for target, call in found.items() if call.id in foreign}


def _refuse(places: Sequence[int]) -> None:
    if places:
        raise Invalid.fields([FieldError(f"[{place}]", "beyond_reach", OUT_OF_REACH) for place in places])

"""Which calls are judged, by whom, and with which probability? Told by the call's trace alone, on every host the same.

A trace has one place in [0, 1) for all evaluators, and a call is chosen *by design* where the place is below the share
that is judged of its kind: of its rollout, step and arm where the rollout fixed one, else of its prompt. So a larger
share chooses what a smaller one would and more, and evaluators with equal shares choose the same calls. A failed call
with an output that the design leaves out is chosen for having failed: it is shown, and is no evidence.

Ingest chooses in the transaction that stores the call. A call of which more becomes known is looked at again: unique
evaluations make it chosen once, and what was chosen for something that is not true any more is withdrawn, as long as
nobody has begun with it. Where nothing is judged no statement is made.
"""

import hashlib
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from common.clock import now
from observability import bulk
from observability.core import content
from observability.core.calls import CallFacts
from observability.core.evidence import Exposure
from observability.core.otlp import Span
from observability.judging import texts
from observability.judging.budgets import is_spent
from observability.models import (
    PAID_KINDS,
    Evaluation,
    EvaluationStatus,
    EvaluatorKind,
    EvaluatorVersion,
    JudgedShare,
    Judging,
    JudgingBudget,
    JudgingDay,
    Missing,
    Score,
)
from observability.selectors.evaluators import asking_versions
from registry.core.templates import variables

SETTLE = timedelta(seconds=10)  # exporters send every 5 s, so what else there is of a call has come by then
REFRESHED_AFTER_S = 1.0
MOST_ROLLOUTS = 1_000
WHOLE_BP = 10_000
DOMAIN = b"serinus judging:"  # apart from the hashes that assign units and that sample texts

COLUMNS = (
    *("call_id", "evaluator_version_id", "prompt_id", "probability", "by_design", "urgent"),
    *("status", "missing", "attempts", "next_attempt_at", "created_at", "settled_at"),
)


class Share(NamedTuple):
    """Which share of the calls one version of an evaluator judges. is_paid: within the prompt's budget."""

    version_id: int
    share: float
    is_paid: bool


@dataclass(frozen=True, slots=True)
class OfPrompt:
    """shares: by evaluator. is_spent: whether today's budget is used up."""

    id: int
    shares: Mapping[int, Share]
    is_spent: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """prompts: those that are judged, by name. no_shares: rollouts that fixed none when they were looked up."""

    prompts: Mapping[str, OfPrompt]
    needs_documents: bool = False
    no_shares: set[str] = field(default_factory=set)

    @property
    def is_any_judged(self) -> bool:
        return bool(self.prompts)


class Candidate(NamedTuple):
    """A call that is stored in this transaction.

    is_new: not stored before it. held: failed, and what follows may tell otherwise. awaits_parent: not all of its
    ancestors have come, which may tell prompt and exposure.
    """

    id: int
    facts: CallFacts
    version_id: int | None
    is_new: bool
    held: bool
    awaits_parent: bool


class Choice(NamedTuple):
    """That one version of an evaluator judges a call. is_stopped: today's budget is used up, so it does not."""

    version_id: int
    probability: float
    by_design: bool
    is_stopped: bool


Arm = tuple[str, int, str]  # rollout, step and arm of an exposure
NOTHING_IS_JUDGED = Rules({})
WAITING = Q(status=EvaluationStatus.WAITING)


class _Current:
    """The rules of this process, and what rollouts have fixed: that never changes, so what was found is kept."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        self.rules, self.until = NOTHING_IS_JUDGED, 0.0
        self.arms: dict[str, dict[Arm, dict[int, Share]]] = {}  # by rollout, then by arm, then by evaluator


_current = _Current()


def current_rules() -> Rules:
    """The rules in force, at most REFRESHED_AFTER_S old. Asks the database only when they are older than that."""
    if time.monotonic() < _current.until:
        return _current.rules
    with _current.lock:
        if time.monotonic() >= _current.until:
            _current.rules = stored_rules(now().date())
            _current.until = time.monotonic() + REFRESHED_AFTER_S
        return _current.rules


def forget_rules() -> None:
    """Ask the database at the next call."""
    _current.forget()


def place(trace_id: bytes) -> float:
    """Where a trace stands in [0, 1): below a share, its calls are chosen."""
    return int.from_bytes(hashlib.sha256(DOMAIN + trace_id).digest()[:8]) / 2**64


def stored_rules(today: date) -> Rules:
    judgings = Judging.objects.filter(active=True).order_by("id")
    rows = list(judgings.values_list("prompt_id", "prompt__name", "evaluator_id", "share_bp"))
    if not rows:
        return NOTHING_IS_JUDGED
    newest = _newest_versions({evaluator_id for _, _, evaluator_id, _ in rows})
    asking = _prompts_of_judges()
    spent = _spent({prompt_id for prompt_id, *_ in rows}, today)
    shares: dict[str, dict[int, Share]] = {}
    for _, name, evaluator_id, share_bp in rows:
        if evaluator_id in newest and name not in asking:
            of_prompt = shares.setdefault(name, {})
            version = newest[evaluator_id]
            of_prompt[evaluator_id] = Share(version.pk, share_bp / WHOLE_BP, version.kind in PAID_KINDS)
    ids = {name: prompt_id for prompt_id, name, *_ in rows}
    return Rules(
        {name: OfPrompt(ids[name], found, ids[name] in spent) for name, found in shares.items()},
        needs_documents=any(map(needs_documents, [*newest.values(), *_pinned_versions(newest)])),
    )


def choose(candidates: Iterable[Candidate], spans: Iterable[Span] = ()) -> None:
    """Choose among the calls, in the caller's transaction, and keep what their judges need of them and of the spans."""
    rules = current_rules()
    if not rules.is_any_judged:
        return
    candidates = [candidate for candidate in candidates if candidate.facts.is_llm_call]
    _look_up_shares(rules, candidates)
    outputs = _with_output(candidates)
    chosen = {c.id: _choices(c, rules, has_output=c.id in outputs) for c in candidates}
    waiting = _write(candidates, chosen, rules)
    in_doubt = {c.id for c in candidates if c.id not in waiting and _is_in_doubt(c, rules)}
    texts.keep(((c.id, c.facts) for c in candidates if c.id in waiting), in_doubt=False)
    texts.keep(((c.id, c.facts) for c in candidates if c.id in in_doubt), in_doubt=True)
    if rules.needs_documents:
        chosen_of_trace: dict[bytes, bool] = {}
        for candidate in candidates:
            if candidate.id not in in_doubt:
                trace_id = candidate.facts.trace_id
                chosen_of_trace[trace_id] = chosen_of_trace.get(trace_id, False) or candidate.id in waiting
        texts.keep_documents(spans, chosen=chosen_of_trace)


def move(*, from_calls: Collection[int], to_call: int) -> None:
    """Give a call the evaluations and texts of others that turned out to be the same, one of each evaluator version.

    Of two the one that has a score stays, else the one that was there first. Where nothing is judged there are none.
    """
    if not current_rules().is_any_judged:
        return
    rows = list(
        Evaluation.objects.filter(call_id__in=[to_call, *from_calls])
        .order_by("id")
        .values_list("id", "call_id", "evaluator_version_id", "status")
    )
    if rows:
        rows.sort(key=lambda row: (row[3] != EvaluationStatus.SCORED, row[1] != to_call, row[0]))
        first = {version_id: id_ for id_, _, version_id, _ in reversed(rows)}
        Evaluation.objects.filter(id__in={row[0] for row in rows} - set(first.values())).delete()
        Evaluation.objects.filter(id__in=first.values()).exclude(call_id=to_call).update(call_id=to_call)
    texts.move(from_calls=from_calls, to_call=to_call)


def needs_documents(version: EvaluatorVersion) -> bool:
    """Whether it looks at what a retrieval brought."""
    if version.kind == EvaluatorKind.RAGAS:
        return True
    return version.template is not None and "documents" in variables(version.template.template)


def _newest_versions(evaluator_ids: Collection[int]) -> dict[int, EvaluatorVersion]:
    """By evaluator, without those whose scores somebody else gives."""
    versions = EvaluatorVersion.objects.filter(evaluator_id__in=evaluator_ids).select_related("template")
    newest = {version.evaluator_id: version for version in versions.order_by("ordinal")}
    return {id_: version for id_, version in newest.items() if version.kind != EvaluatorKind.EXTERNAL}


def _pinned_versions(evaluator_ids: Collection[int]) -> list[EvaluatorVersion]:
    """What rollouts have fixed of these evaluators, now or once. It may need what the newest version does not."""
    pinning = JudgedShare.objects.filter(evaluator_version=OuterRef("pk"))
    versions = EvaluatorVersion.objects.filter(Exists(pinning), evaluator_id__in=evaluator_ids)
    return list(versions.select_related("template"))


def _prompts_of_judges() -> set[str]:
    """A judge's own calls are never judged: each would bring another one."""
    return set(asking_versions().order_by().values_list("template__prompt__name", flat=True).distinct())


def _spent(prompt_ids: Collection[int], today: date) -> set[int]:
    """The prompts whose budget of today is used up."""
    used = JudgingDay.objects.filter(prompt_id__in=prompt_ids, day=today).values_list("prompt_id", "calls", "usd")
    by_prompt = {prompt_id: (calls, usd) for prompt_id, calls, usd in used}
    of_prompts = JudgingBudget.objects.in_bulk(by_prompt)
    default = JudgingBudget()
    return {id_ for id_, used_up in by_prompt.items() if is_spent(of_prompts.get(id_, default), *used_up)}


def _look_up_shares(rules: Rules, candidates: Sequence[Candidate]) -> None:
    """What the rollouts that these calls name have fixed, of those not known yet."""
    named = {
        exposure.rollout
        for candidate in candidates
        if (exposure := candidate.facts.context.exposure) and candidate.facts.context.prompt_name in rules.prompts
    }
    unknown = named - _current.arms.keys() - rules.no_shares
    if not unknown:
        return
    found: dict[str, dict[Arm, dict[int, Share]]] = {}
    fixed = JudgedShare.objects.filter(rollout__in=unknown).order_by("id")
    version = ("evaluator_version_id", "evaluator_version__evaluator_id", "evaluator_version__kind")
    for rollout, step, arm, version_id, evaluator_id, kind, share in fixed.values_list(
        "rollout", "step", "arm", *version, "share"
    ):
        of_arm = found.setdefault(rollout, {}).setdefault((rollout, step, arm), {})
        of_arm[evaluator_id] = Share(version_id, share, kind in PAID_KINDS)
    if len(_current.arms) > MOST_ROLLOUTS:
        _current.arms.clear()
    _current.arms.update(found)
    rules.no_shares.update(unknown - found.keys())


def _with_output(candidates: Sequence[Candidate]) -> set[int]:
    """The failed ones among the calls of which there is an output, in what has come or in what was kept."""
    failed = [candidate for candidate in candidates if candidate.facts.error and not candidate.held]
    told = {candidate.id for candidate in failed if content.output_text(candidate.facts)}
    return told | texts.with_output([c.id for c in failed if not c.is_new and c.id not in told])


def _choices(candidate: Candidate, rules: Rules, *, has_output: bool) -> list[Choice]:
    facts = candidate.facts
    prompt = rules.prompts.get(facts.context.prompt_name or "")
    if prompt is None or candidate.version_id is None or facts.is_summary:
        return []
    fixed = _fixed(facts.context.exposure)
    where = place(facts.trace_id)
    failed = facts.error and not candidate.held
    choices = []
    for evaluator_id, by_prompt in prompt.shares.items():
        version_id, share, is_paid = fixed.get(evaluator_id, by_prompt)
        is_stopped = is_paid and prompt.is_spent
        if where < share:
            choices.append(Choice(version_id, 1.0 if failed else share, True, is_stopped))
        elif failed and has_output:
            choices.append(Choice(version_id, 1.0, False, is_stopped))
    return choices


def _fixed(exposure: Exposure | None) -> Mapping[int, Share]:
    if exposure is None:
        return {}
    return _current.arms.get(exposure.rollout, {}).get((exposure.rollout, exposure.step, exposure.arm), {})


def _is_in_doubt(candidate: Candidate, rules: Rules) -> bool:
    """Whether a call that is not chosen may be, when more is known of it."""
    context = candidate.facts.context
    if context.prompt_name is not None and context.prompt_name not in rules.prompts:
        return False
    is_complete = context.prompt_name is not None and context.exposure is not None
    return candidate.held or candidate.facts.is_summary or (candidate.awaits_parent and not is_complete)


def _write(candidates: Sequence[Candidate], chosen: Mapping[int, Sequence[Choice]], rules: Rules) -> set[int]:
    """Answers the calls of which evaluations wait."""
    known = _known([c.id for c in candidates if not c.is_new])
    at = now()
    rows, waiting, withdrawn = [], set(), set()
    for candidate in candidates:
        before = known.get(candidate.id, {})
        choices = {choice.version_id: choice for choice in chosen[candidate.id]}
        prompt = rules.prompts.get(candidate.facts.context.prompt_name or "")
        new = [choice for version_id, choice in choices.items() if version_id not in before]
        rows += [_row(candidate, choice, prompt.id, at) for choice in new if prompt]
        if _mend(candidate, before, choices) or not all(choice.is_stopped for choice in new):
            waiting.add(candidate.id)
        elif before:
            withdrawn.add(candidate.id)
    bulk.insert(Evaluation, COLUMNS, rows, on_conflict="DO NOTHING")
    if withdrawn:
        texts.drop(withdrawn)
    return waiting


def _row(candidate: Candidate, choice: Choice, prompt_id: int, at: datetime) -> tuple[Any, ...]:
    """In the order of COLUMNS; what is over the budget is not judged, and counted."""
    adapt = connection.ops.adapt_datetimefield_value
    stopped = choice.is_stopped
    return (
        *(candidate.id, choice.version_id, prompt_id, choice.probability, choice.by_design),
        candidate.facts.context.exposure is not None,
        EvaluationStatus.MISSING.value if stopped else EvaluationStatus.WAITING.value,
        Missing.BUDGET.value if stopped else "",
        *(0, adapt(at + SETTLE), adapt(at), adapt(at) if stopped else None),
    )


def _known(call_ids: Collection[int]) -> Mapping[int, Mapping[int, Evaluation]]:
    """The evaluations of these calls, by call and evaluator version."""
    found: dict[int, dict[int, Evaluation]] = {}
    if call_ids:
        for evaluation in Evaluation.objects.filter(call_id__in=call_ids).order_by("id"):
            found.setdefault(evaluation.call_id, {})[evaluation.evaluator_version_id] = evaluation
    return found


def _mend(candidate: Candidate, before: Mapping[int, Evaluation], choices: Mapping[int, Choice]) -> bool:
    """Withdraw what is not chosen any more, unless somebody began with it; say of the rest why it is chosen now.

    Answers whether any of them waits.
    """
    urgent = candidate.facts.context.exposure is not None
    waits = False
    for version_id, evaluation in before.items():
        row = Evaluation.objects.filter(id=evaluation.pk)
        choice = choices.get(version_id)
        if choice is None:
            if evaluation.status == EvaluationStatus.WAITING and row.filter(WAITING, attempts=0).delete()[0]:
                continue
        elif (choice.probability, choice.by_design, urgent) != (
            *(evaluation.probability, evaluation.by_design, evaluation.urgent),
        ):
            row.update(probability=choice.probability, by_design=choice.by_design, urgent=urgent)
            Score.objects.filter(evaluation=evaluation).update(probability=choice.probability)
        waits = waits or evaluation.status == EvaluationStatus.WAITING
    return waits

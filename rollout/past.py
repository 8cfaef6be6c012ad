"""What a prompt's last days tell a plan: what can be judged, and what it was like under the control version."""

from datetime import datetime, timedelta

from common.clock import now
from observability import selectors as observed
from observability.core.evidence import TOP_BIN
from observability.models import EvaluatorKind
from observability.selectors import judges
from registry.models import Prompt, PromptVersion
from rollout.core.plan import ERROR_RATE, Kind, PlanMetric, usual_kind
from rollout.core.stats.margins import FIRST_ONE
from rollout.plans import Judges, Seen

BASELINE = timedelta(days=7)


def since_when(prompt: Prompt) -> datetime:
    """The last days, or since there has been the prompt."""
    return max(now() - BASELINE, prompt.created_at)


def calls_a_day(calls: int, *, since: datetime) -> float:
    """What a judging budget is held against: never more than so many calls, however short the time that they took.

    What is judged is fixed from a rollout's start on. A few minutes, told as a day of such minutes, would leave next to
    nothing of it, while a budget stops by itself what is too much.
    """
    return calls / max((now() - since) / timedelta(days=1), 1.0)


def seen_lately(prompt: Prompt, canary: PromptVersion | None) -> Seen:
    """What a plan for the prompt may leave unsaid."""
    since = now() - BASELINE
    scores = observed.score_names(prompt=prompt.name, since=since)
    return Seen(
        scores={seen.name: usual_kind(seen.name, only_zero_or_one=seen.only_zero_or_one) for seen in scores},
        measured=observed.measures(prompt=prompt.name, since=since),
        has_response_schema=canary is not None and canary.response_schema is not None,
        judges=tuple(_judges(judge) for judge in judges.judges(prompt).values()),
    )


def _judges(judge: judges.Judge) -> Judges:
    """A check says yes or no; a judge may say anything between."""
    kind: Kind = "rate" if judge.kind == EvaluatorKind.CHECK else "score"
    return Judges(judge.name, judge.score, kind, newest=judge.newest, by_default=judge.judges)


def baseline_of(metric: PlanMetric, *, control_id: int) -> dict[int, int]:
    """The control version's observations by bin; of complaints its calls in bin 0, and in the top bin those."""
    since = now() - BASELINE
    pinned = metric.evaluator if "@" in metric.evaluator else ""
    seen = observed.baseline(version_id=control_id, measure=metric.measure, since=since, evaluator=pinned)
    if metric.kind != "complaint":
        return seen
    calls = sum(observed.baseline(version_id=control_id, measure=ERROR_RATE, since=since).values())
    complaints = sum(n for place, n in seen.items() if place >= FIRST_ONE)
    return {0: max(calls - complaints, 0), TOP_BIN: complaints}

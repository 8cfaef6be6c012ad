"""What a prompt's page says of its objectives: what is promised, whether it is kept, and what would break it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from observability.core.evidence import COST_PER_CALL, ERROR_RATE, INTER_TOKEN_LATENCY, LATENCY, OUTPUT_VALID, TTFT
from observability.core.objectives import OF_EACH_CALL, TOKENS_PER_SECOND, ObjectiveStanding, Rate, present_rate
from observability.models import Objective
from observability.selectors.objectives import standings
from rollout.charts import meter
from rollout.formats import DASH, GAP, TIMES, count, duration, estimate, milliseconds, money, roughly, weight
from rollout.wording import State

WORDS = {
    ERROR_RATE: "calls that fail",
    OUTPUT_VALID: "outputs that follow their schema",
    TTFT: "first tokens",
    LATENCY: "calls",
    INTER_TOKEN_LATENCY: "times between tokens",
    TOKENS_PER_SECOND: "calls",
    COST_PER_CALL: "calls",
}


@dataclass(frozen=True, slots=True)
class ObjectiveRow:
    """left: the bar of what is left of the budget, and its words. rates: how fast it burnt lately, window by window.
    breaks: what it would take to break the promise, or what has."""

    id: int
    name: str
    label: str
    promise: str
    state: State
    attained: str
    measured: str
    left: SafeString
    left_words: str
    rates: list[tuple[str, str]]
    breaks: str


def objective_rows(asked: Collection[Objective], at: datetime) -> list[ObjectiveRow]:
    stand = standings(asked, at)
    return [_row(objective, stand[objective.pk], at) for objective in asked]


def promise_in_words(objective: Objective) -> str:
    metric, threshold = objective.metric, objective.threshold
    if objective.metric not in OF_EACH_CALL:
        mean = WORDS.get(metric, f"the mean of {metric}")
        shown = estimate(threshold, "share") if metric in WORDS else f"{threshold:g}"
        return f"{mean} {'over' if objective.comparison == 'above' else 'under'} {shown}"
    share = weight(objective.target_bp or 0)
    if metric == TOKENS_PER_SECOND:
        return f"{share} of the calls at {threshold:g}{GAP}tokens/s or more"
    if metric == COST_PER_CALL:
        return f"{share} of the calls for {money(threshold)} or less"
    return f"{share} of the {WORDS[metric]} within {milliseconds(threshold)}"


def _row(objective: Objective, stand: ObjectiveStanding, at: datetime) -> ObjectiveRow:
    budget = stand.budget
    left_words = DASH if budget.left is None else f"{estimate(budget.left, 'share')} left"
    return ObjectiveRow(
        id=objective.pk,
        name=objective.name,
        label=objective.label,
        promise=promise_in_words(objective),
        state=_state(objective, stand),
        attained=_attained(objective, stand),
        measured=f"{count(round(budget.n))} in {objective.days} days",
        left=SafeString("") if budget.left is None else meter(budget.left, words=f"error budget: {left_words}"),
        left_words=left_words,
        rates=[(duration(rate.window.total_seconds()), _times(rate)) for rate in stand.rates],
        breaks=_breaks(objective, stand, at),
    )


def _state(objective: Objective, stand: ObjectiveStanding) -> State:
    if stand.budget.left is None:
        return State("open", "Nothing measured yet")
    if stand.budget.left == 0:
        return State("harm", "Broken")
    if stand.burning:
        return State("harm" if stand.burning.tier.severity == "critical" else "held", "Burns too fast")
    return State("safe", "Kept") if objective.active else State("open", "Kept, and not watched")


def _attained(objective: Objective, stand: ObjectiveStanding) -> str:
    """In the words of the promise: a mean of scores, a share of the calls."""
    attained = stand.budget.attained
    if attained is None:
        return DASH
    if objective.metric in OF_EACH_CALL or objective.metric == OUTPUT_VALID:
        return estimate(attained, "share")
    if objective.metric == ERROR_RATE:
        return estimate(1 - attained, "share")
    return estimate(attained if objective.comparison == "above" else 1 - attained, "score")


def _times(rate: Rate) -> str:
    return DASH if rate.burn is None else f"{TIMES}{rate.burn:.3g}"


def _breaks(objective: Objective, stand: ObjectiveStanding, at: datetime) -> str:
    budget, bad = stand.budget, _bad(objective)
    if budget.spent is None:
        return f"No call that names {objective.label} was measured."
    allowed = objective.promise.allowed * budget.n
    if budget.left == 0:
        over = allowed * (budget.spent - 1)
        return (
            f"It bore {count(int(allowed))} {bad}, and had {count(round(over))} more."
            if over >= 1
            else "It is used up."
        )
    bears = f"It bears {count(int(allowed * (1 - budget.spent)))} more {bad}."
    if stand.gone_at is None:
        return f"{bears} At the present rate it lasts." if present_rate(stand.rates) else bears
    return f"{bears} At the present rate it is gone in {roughly((stand.gone_at - at).total_seconds())}."


def _bad(objective: Objective) -> str:
    """What a whole unit of badness is."""
    if objective.metric in OF_EACH_CALL:
        return "calls that miss it"
    if objective.metric in WORDS:
        return "calls that fail" if objective.metric == ERROR_RATE else "outputs that do not follow it"
    return f"scores of {0 if objective.comparison == 'above' else 1}"

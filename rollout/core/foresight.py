"""Before the start: when would a plan decide, if a guardrail is worse by its margin, and if the arms are equal?"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from rollout.core.plan import Plan
from rollout.core.stats.evidence import histogram
from rollout.core.stats.forecast import Arm, Leg, Question, calls_until, canary_calls, expected, legs_of, worse
from rollout.core.stats.margins import KNOWN
from rollout.core.stats.metric import Frozen
from rollout.core.verdict import log_threshold

SEED = 1  # the same question gets the same answer
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class Subject:
    """A metric before its start.

    baseline: the control version's last days, by bin. observed: share of the prompt's calls with an observation of it;
    0 for none, and then every call is taken to get one.
    """

    frozen: Frozen
    baseline: Mapping[int, int]
    observed: float


@dataclass(frozen=True, slots=True)
class Delay:
    """A median. canary_calls: None for never; seconds: None for never, and where no traffic tells."""

    canary_calls: int | None
    seconds: int | None


@dataclass(frozen=True, slots=True)
class Expected:
    """Of one guardrail. find_harm: if it alone is worse, by exactly its margin; prove_safe: if the arms are equal."""

    find_harm: Delay
    prove_safe: Delay


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rollout comes to, and how many seconds after its start."""

    decision: Literal["rollback", "promote", "inconclusive"]
    seconds: int


@dataclass(frozen=True, slots=True)
class Foresight:
    """metrics: by name, the guardrails; an observed metric never decides.

    find_harm: in the guardrail that takes longest. prove_safe: in all of them. if_worse, if_equal: what then becomes of
    the rollout. warnings: sentences for people.
    """

    metrics: Mapping[str, Expected]
    find_harm: Delay
    prove_safe: Delay
    if_worse: Outcome
    if_equal: Outcome
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """The way of the traffic through the plan's steps. least_batch: observations before a batch is closed."""

    legs: Sequence[Leg]
    calls_per_s: float
    least_batch: int

    @property
    def served(self) -> int | None:
        """Seconds until every hold is served and min_units have come."""
        return self._seconds(math.fsum(leg.calls for leg in self.legs))

    def calls(self, asked: Question, subject: Subject, threshold: float, *, seed: int) -> tuple[float, ...]:
        process = subject.frozen.process
        values = expected(process, histogram(subject.baseline))
        control = Arm(values, subject.observed or 1.0)
        return calls_until(
            asked,
            process,
            control=control,
            canary=replace(control, values=worse(process, values)) if asked == "harm" else control,
            legs=self.legs,
            log_threshold=threshold,
            least_batch=self.least_batch,
            seed=seed,
        )

    def delay(self, calls: Sequence[float]) -> Delay:
        middle = median(calls)
        if math.isinf(middle):
            return Delay(None, None)
        return Delay(math.ceil(canary_calls(middle, self.legs)), self._seconds(middle))

    def _seconds(self, calls: float) -> int | None:
        return round(calls / self.calls_per_s) if self.calls_per_s else None


def foresee(plan: Plan, subjects: Sequence[Subject], *, calls_per_s: float, least_batch: int) -> Foresight:
    """subjects: the plan's metrics, a guardrail among them. calls_per_s: of the prompt, 0 when none came lately."""
    course = Course(legs_of(plan, calls_per_s=calls_per_s), calls_per_s, least_batch)
    guardrails = [subject for subject in subjects if subject.frozen.role == "guardrail"]
    weights = math.fsum(subject.frozen.weight for subject in guardrails)
    threshold = log_threshold(plan.alpha)
    found, proven = {}, {}
    for seed, subject in enumerate(guardrails, start=SEED):
        # One that is worse alone has to carry the weighted mean of all e-values over the threshold.
        alone = threshold + math.log(weights / subject.frozen.weight)
        found[subject.frozen.name] = course.calls("harm", subject, alone, seed=seed)
        proven[subject.frozen.name] = course.calls("safe", subject, threshold, seed=seed)
    metrics = {name: Expected(course.delay(found[name]), course.delay(proven[name])) for name in found}
    find_harm = course.delay(max(found.values(), key=median))
    prove_safe = course.delay([max(path) for path in zip(*proven.values(), strict=True)])
    if_worse, if_equal = _outcomes(
        plan, find_harm=find_harm.seconds, prove_safe=prove_safe.seconds, served=course.served
    )
    warnings = (
        *_doubts(subjects, traffic=calls_per_s > 0),
        *_delays(plan, metrics, prove_safe),
        *_holds(plan, find_harm, course.served),
    )
    return Foresight(metrics, find_harm, prove_safe, if_worse, if_equal, warnings)


def _outcomes(
    plan: Plan, *, find_harm: int | None, prove_safe: int | None, served: int | None
) -> tuple[Outcome, Outcome]:
    """If worse, and if equal: what comes first, from the seconds to each; None for what does not come."""
    promoted = _promoted(plan, prove_safe, served)
    time_is_up = Outcome("inconclusive", plan.max_duration_s)
    rolled_back = [] if find_harm is None else [Outcome("rollback", find_harm)]
    unproven = promoted if plan.promote_when == "no_harm_found" else []
    return _earliest([*rolled_back, *unproven, time_is_up]), _earliest([*promoted, time_is_up])


def _promoted(plan: Plan, prove_safe: int | None, served: int | None) -> list[Outcome]:
    if served is None:
        return []
    if plan.promote_when == "no_harm_found":
        return [Outcome("promote", served)]
    return [] if prove_safe is None else [Outcome("promote", max(served, prove_safe))]


def _earliest(outcomes: Sequence[Outcome]) -> Outcome:
    return min(outcomes, key=lambda outcome: outcome.seconds)


def _doubts(subjects: Sequence[Subject], *, traffic: bool) -> Iterator[str]:
    """What the figures rest on where they do not rest on enough."""
    if not traffic:
        yield "The prompt had no calls lately: no time can be told, and the canary's calls are those of the last step."
    for subject in subjects:
        name, known = subject.frozen.name, sum(subject.baseline.values())
        if traffic and not subject.observed:
            yield f"{name} was not seen lately; is it spelled right? The figures take it that every call gets one."
        if not known:
            yield f"{name}: nothing of it is known of the control version, so its figures rest on a guess."
        elif known < KNOWN:
            yield f"{name}: its figures rest on only {known} observations of the control version."


def _delays(plan: Plan, metrics: Mapping[str, Expected], prove_safe: Delay) -> Iterator[str]:
    """What takes longer than the plan's time."""
    for name, expected_of in metrics.items():
        yield from _too_late(plan, f"{name}: harm of the margin's size is found", expected_of.find_harm)
    if plan.promote_when == "proven_safe":
        slow = [
            sentence
            for name, expected_of in metrics.items()
            for sentence in _too_late(plan, f"{name}: an equal canary is proven safe", expected_of.prove_safe)
        ]
        yield from slow or _too_late(plan, "An equal canary is proven safe in all guardrails", prove_safe)


def _too_late(plan: Plan, what: str, delay: Delay) -> Iterator[str]:
    if delay.canary_calls is None:
        yield f"{what} hardly ever."
    elif delay.seconds is not None and delay.seconds > plan.max_duration_s:
        yield f"{what} after about {_span(delay.seconds)}; max_duration, {_span(plan.max_duration_s)}, is too short."


def _holds(plan: Plan, find_harm: Delay, served: int | None) -> Iterator[str]:
    """What the holds, with the units they wait for, come too late or too early for."""
    if served is None:
        return
    if served > plan.max_duration_s:
        yield (
            f"The holds and the first {plan.min_units} units take about {_span(served)}; "
            f"max_duration, {_span(plan.max_duration_s)}, is too short."
        )
    elif plan.promote_when == "no_harm_found" and (find_harm.seconds is None or find_harm.seconds > served):
        yield f"no_harm_found promotes after about {_span(served)}, before all harm of a margin's size would be found."


def _span(seconds: int) -> str:
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds / size:.{0 if seconds >= 10 * size else 1}f}".removesuffix(".0") + f" {unit}"
    return f"{seconds} s"

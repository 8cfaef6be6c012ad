"""Before the start: when would a plan decide, if a guardrail is worse by its margin, and if the arms are equal?"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

import numpy as np

from rollout.core.plan import Judged, Plan, PlanMetric
from rollout.core.stats import margins
from rollout.core.stats import metric as statistics
from rollout.core.stats.behaviour import Behaviour, breaks_limit, expected, worse
from rollout.core.stats.evidence import Bins, Process
from rollout.core.stats.forecast import Leg, Question, calls_of_a_batch, calls_until, canary_calls, legs_of
from rollout.core.stats.grid import Array
from rollout.core.stats.margins import KNOWN
from rollout.core.verdict import log_threshold

SEED = 1  # the same question gets the same answer
GUESSED = 10_000  # observations that a guess is worth, where a scale has to come from it
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class Subject:
    """A metric before its start.

    baseline: the control version's last days, by bin. expected: what the control is expected to do, by bin. observed:
    share of the prompt's calls with an observation of it, 0 for none.
    """

    frozen: statistics.Frozen
    baseline: Bins
    expected: Array
    observed: float

    @property
    def metric(self) -> PlanMetric:
        return self.frozen.metric

    @property
    def process(self) -> Process:
        return self.frozen.process

    def judged_on(self, step: int) -> Judged:
        """Which share of each arm's calls is observed: as the plan has scores judged, else as it was lately.

        Every call may be complained about. Of what was not seen lately, every call is taken to be observed.
        """
        if self.metric.kind == "complaint":
            return Judged()
        if self.is_chosen:
            return self.metric.judged_on(step)
        return Judged(self.observed or 1.0, self.observed or 1.0)

    @property
    def is_chosen(self) -> bool:
        """Whether the plan says which calls are judged."""
        return bool(self.metric.judged_by_step) or self.metric.judged != Judged()

    @property
    def is_taken_to_be_observed(self) -> bool:
        return not self.observed and self.metric.kind != "complaint" and not self.is_chosen

    @property
    def left_to_learn(self) -> int:
        """Observations of the control that are missing before it has a scale."""
        return statistics.left_to_learn(self.metric, self.baseline)

    @property
    def breaks_limit(self) -> bool:
        return breaks_limit(self.process, self.expected)


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
    """The way of the traffic through the plan's steps. least_batch: observations before a batch is closed; warm_up:
    calls that come in it."""

    legs: Sequence[Leg]
    calls_per_s: float
    least_batch: int
    warm_up: float

    @property
    def served(self) -> int | None:
        """Seconds until nothing but a proof is missing for the promotion."""
        return self._seconds(math.fsum(leg.calls for leg in self.legs))

    def calls(
        self, asked: Question, subject: Subject, threshold: float, *, canary: Array, seed: int
    ) -> tuple[float, ...]:
        return calls_until(
            asked,
            subject.process,
            control=Behaviour(subject.expected),
            canary=Behaviour(canary),
            judged=[subject.judged_on(leg.step) for leg in self.legs],
            legs=self.legs,
            log_threshold=threshold,
            least_batch=self.least_batch,
            uncounted=_uncounted(subject, share=self.legs[0].share, warm_up=self.warm_up),
            seed=seed,
        )

    def delay(self, calls: Sequence[float]) -> Delay:
        middle = median(calls)
        if math.isinf(middle):
            return Delay(None, None)
        return Delay(math.ceil(canary_calls(middle, self.legs)), self._seconds(middle))

    def _seconds(self, calls: float) -> int | None:
        return round(calls / self.calls_per_s) if self.calls_per_s else None


def subject(metric: PlanMetric, *, baseline: Bins, shares: Sequence[float], observed: float) -> Subject:
    """The metric as the rollout would start with it. shares: the canary's on each step.

    Raises ValueError, saying what was expected, on a margin or limit that the metric cannot have.
    """
    margin = None if metric.limit else margins.resolve(metric, baseline)
    values = expected(metric, baseline)
    scale = baseline if any(baseline.values()) else _observations(values)
    frozen = statistics.freeze(replace(metric, margin=margin), baseline=scale, shares=shares)
    return Subject(frozen, baseline, values, observed)


def foresee(plan: Plan, subjects: Sequence[Subject], *, calls_per_s: float, least_batch: int) -> Foresight:
    """subjects: the plan's metrics, a guardrail among them. calls_per_s: of the prompt, 0 when none came lately."""
    guardrails = [subject for subject in subjects if subject.metric.role == "guardrail"]
    course = _course(plan, guardrails, calls_per_s=calls_per_s, least_batch=least_batch)
    weights = math.fsum(subject.metric.weight for subject in guardrails)
    threshold = log_threshold(plan.alpha)
    found, proven, refused = {}, {}, []
    for seed, subject in enumerate(guardrails, start=SEED):
        name, equal = subject.metric.name, subject.expected
        # One that is worse alone has to carry the weighted mean of all e-values over the threshold.
        alone = threshold + math.log(weights / subject.metric.weight)
        found[name] = course.calls("harm", subject, alone, canary=worse(subject.process, equal), seed=seed)
        proven[name] = course.calls("safe", subject, threshold, canary=equal, seed=seed)
        if subject.breaks_limit:
            refused.append(course.delay(course.calls("harm", subject, alone, canary=equal, seed=seed)))
    metrics = {name: Expected(course.delay(found[name]), course.delay(proven[name])) for name in found}
    find_harm = course.delay(max(found.values(), key=median))
    prove_safe = course.delay([max(path) for path in zip(*proven.values(), strict=True)])
    warnings = (
        *_doubts(subjects, traffic=calls_per_s > 0),
        *_delays(plan, metrics, prove_safe),
        *_holds(plan, find_harm, course.served),
    )
    return Foresight(
        metrics,
        find_harm,
        prove_safe,
        if_worse=_if_worse(plan, find_harm, course.served),
        if_equal=_if_equal(plan, prove_safe, course.served, refused),
        warnings=warnings,
    )


def _course(plan: Plan, guardrails: Sequence[Subject], *, calls_per_s: float, least_batch: int) -> Course:
    warm_up = plan.warm_up_s * calls_per_s
    first_evidence = []
    for number, step in enumerate(plan.steps):
        share = step.weight_bp / 10_000
        batches = [_calls_of_a_batch(subject, number, share, least=least_batch) for subject in guardrails]
        if number == 0:
            uncounted = [_uncounted(subject, share=share, warm_up=warm_up) for subject in guardrails]
            batches = [sum(calls) for calls in zip(uncounted, batches, strict=True)]
        first_evidence.append(max(batches))
    legs = legs_of(plan, calls_per_s=calls_per_s, first_evidence=first_evidence)
    return Course(legs, calls_per_s, least_batch, warm_up)


def _calls_of_a_batch(subject: Subject, step: int, share: float, *, least: int) -> float:
    judged = subject.judged_on(step)
    return calls_of_a_batch(share, control=judged.control, canary=judged.canary, least=least)


def _uncounted(subject: Subject, *, share: float, warm_up: float) -> float:
    """Calls before the first that is evidence: of the warm-up, and those that the metric learns its scale from."""
    return warm_up + subject.left_to_learn / ((1 - share) * subject.judged_on(0).control)


def _observations(values: Array) -> dict[int, int]:
    """Whole numbers in the shares of what is expected."""
    counts = np.rint(values * (GUESSED / values.sum())).astype(int)
    return {int(place): int(counts[place]) for place in np.flatnonzero(counts)}


def _if_worse(plan: Plan, find_harm: Delay, served: int | None) -> Outcome:
    unproven = _promoted(plan, None, served) if plan.promote_when == "no_harm_found" else []
    return _earliest(plan, [*_rolled_back([find_harm]), *unproven])


def _if_equal(plan: Plan, prove_safe: Delay, served: int | None, refused: Sequence[Delay]) -> Outcome:
    """refused: when it is rolled back for limits that the control breaks, too."""
    return _earliest(plan, [*_rolled_back(refused), *_promoted(plan, prove_safe.seconds, served)])


def _rolled_back(delays: Sequence[Delay]) -> list[Outcome]:
    return [Outcome("rollback", delay.seconds) for delay in delays if delay.seconds is not None]


def _promoted(plan: Plan, prove_safe: int | None, served: int | None) -> list[Outcome]:
    if served is None:
        return []
    if plan.promote_when == "no_harm_found":
        return [Outcome("promote", served)]
    return [] if prove_safe is None else [Outcome("promote", max(served, prove_safe))]


def _earliest(plan: Plan, outcomes: Sequence[Outcome]) -> Outcome:
    """What comes first; unless something does in time, that time is up."""
    return min([*outcomes, Outcome("inconclusive", plan.max_duration_s)], key=lambda outcome: outcome.seconds)


def _doubts(subjects: Sequence[Subject], *, traffic: bool) -> Iterator[str]:
    """What the figures rest on where they do not rest on enough."""
    if not traffic:
        yield "The prompt had no calls lately: no time can be told, and the canary's calls are those of the last step."
    for subject in subjects:
        yield from _doubts_about(subject, traffic=traffic)


def _doubts_about(subject: Subject, *, traffic: bool) -> Iterator[str]:
    name, known = subject.metric.name, sum(subject.baseline.values())
    if traffic and not subject.observed and not subject.metric.judged_by_step:
        guess = " The figures take it that every call gets one." if subject.is_taken_to_be_observed else ""
        yield f"{name} was not seen lately; is it spelled right?{guess}"
    if not known:
        yield f"{name}: nothing of it is known of the control version, so its figures rest on a guess."
    elif known < KNOWN:
        yield f"{name}: its figures rest on only {known} observations of the control version."
    if subject.left_to_learn:
        yield (
            f"{name} has no scale yet: the control's first {subject.left_to_learn} observations give it one, and "
            "nothing counts before."
        )
    if subject.breaks_limit:
        yield f"{name}: the control version breaks the limit itself; a canary that is equal would be rolled back."


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
        yield f"{what} after about {span(delay.seconds)}; max_duration, {span(plan.max_duration_s)}, is too short."


def _holds(plan: Plan, find_harm: Delay, served: int | None) -> Iterator[str]:
    """What the steps, with all that they wait for, end too late or too early for."""
    if served is None:
        return
    if served > plan.max_duration_s:
        yield (
            f"The steps, with their holds, {plan.min_units} units and evidence from each, take about {span(served)}; "
            f"max_duration, {span(plan.max_duration_s)}, is too short."
        )
    elif plan.promote_when == "no_harm_found" and (find_harm.seconds is None or find_harm.seconds > served):
        yield f"no_harm_found promotes after about {span(served)}, before all harm of a margin's size would be found."


def span(seconds: int) -> str:
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds / size:.{0 if seconds >= 10 * size else 1}f}".removesuffix(".0") + f" {unit}"
    return f"{seconds} s"

"""What is simulated: the rows of the design's table and its neighbours, and how many rollouts a run has of each.

The guardrails, their rates and their margins are those of the design's whole engine. The control's baseline is drawn
anew for each rollout: BASELINE observations of a measure from the days before it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmarks.operating_characteristics.crowds import CROWDS, Crowd, one_call_a_unit, pool
from benchmarks.operating_characteristics.measures import COST, RATE, SCORE, TTFT
from benchmarks.operating_characteristics.traffic import DAY, Calls, Drift, Truth, baseline, draw_calls, steady, wave
from rollout.core.plan import Plan, PlanMetric, PlanStep

End = Literal["rolled_back", "promoted", "invalid"]
Steps = tuple[tuple[float, int], ...]

BASELINE = DAY
SERINUS, CALLS_ALONE = "serinus", "serinus without design effect"
Z_TEST, MANN_WHITNEY, GROWTHBOOK = "z-test repeated", "Mann-Whitney repeated", "GrowthBook sequential"
CHI_SQUARE = "chi-square repeated"


@dataclass(frozen=True, slots=True)
class Reach:
    """What the design asks for: at most `limit` in the column of serinus's row."""

    column: Literal["share_rolled_back", "share_promoted", "share_invalid", "median_canary_calls", "median_calls"]
    limit: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """about: the end whose share has an interval in the results, and to which calls are counted.

    steps: share and calls of each. full, quick: rollouts of a run. skew: how many times its planned share the canary
    really gets. methods: those beside serinus.
    """

    name: str
    about: End
    truths: tuple[Truth, ...]
    steps: Steps
    full: int
    quick: int
    methods: tuple[str, ...] = (Z_TEST, MANN_WHITNEY, GROWTHBOOK)
    reach: Reach | None = None
    crowd: Crowd = one_call_a_unit
    drift: Drift = steady
    skew: float = 1.0

    @property
    def calls(self) -> int:
        return sum(n for _, n in self.steps)

    @property
    def is_wrong_end(self) -> bool:
        """Whether the end that it is about is a mistake, rather than what should come, and soon."""
        return self.about == "promoted" or (
            self.skew == 1 and all(truth.canary == truth.control for truth in self.truths)
        )

    @property
    def plan(self) -> Plan:
        """One call a second; at the end of the last step's hold the time is up."""
        return Plan(
            metrics=tuple(truth.metric for truth in self.truths),
            steps=tuple(PlanStep(round(share * 10_000), n) for share, n in self.steps),
            max_duration_s=self.calls,
        )

    def draw(self, rng: np.random.Generator) -> tuple[Calls, Mapping[str, Mapping[int, int]]]:
        """The calls of one rollout, and the control's baseline of each metric."""
        baselines = {truth.metric.name: baseline(rng, truth, BASELINE, drift=self.drift) for truth in self.truths}
        calls = draw_calls(rng, self.truths, self.calls, crowd=self.crowd, drift=self.drift, skew=self.skew)
        return calls, baselines


def scenarios() -> tuple[Scenario, ...]:
    return (*_whole_engine(), *_found(), *_healthy(), *_drifting(), *_correlated(), *_sample_ratio())


ERROR = Truth(PlanMetric("error_rate", "rate", "lower", margin={"ratio": 2.0}), RATE, 0.01, 0.01)
HALLUCINATION = Truth(PlanMetric("hallucination", "rate", "lower", margin={"ratio": 1.5}), RATE, 0.018, 0.018)
THUMBS_DOWN = Truth(PlanMetric("thumbs_down", "complaint", "lower", margin={"ratio": 2.0}), RATE, 0.005, 0.005)
COSTS = Truth(PlanMetric("cost_per_call", "cost", "lower", margin={"ratio": 1.1}), COST, 0.004, 0.004)  # USD
WAIT = Truth(PlanMetric("ttft", "latency", "lower"), TTFT, 463.0, 463.0)  # ms
FAITHFULNESS = Truth(PlanMetric("faithfulness", "score", "higher", margin={"absolute": 0.03}), SCORE, 0.94, 0.94)

JUDGED_LATER = replace(FAITHFULNESS, judged=0.05, delay=300)
GUARDRAILS = (ERROR, HALLUCINATION, THUMBS_DOWN, COSTS, WAIT, JUDGED_LATER)

# What is worse, its metric as it is then, the calls of a rollout in which every method can find it, the canary calls to
# find it within, and the rollouts of a full and of a quick run.
HARMS = (
    ("hallucination 1.8 -> 4.1 %", replace(HALLUCINATION, canary=0.041), 100_000, 340, 600, 25),
    ("error 1 -> 2 %", replace(ERROR, canary=0.02), 200_000, 1030, 600, 25),
    ("faithfulness .94 -> .87", replace(FAITHFULNESS, canary=0.87), 10_000, 45, 2000, 100),
    ("cost +20 %", replace(COSTS, canary=COSTS.control * 1.2), 60_000, 310, 600, 25),
    ("TTFT x1.25", replace(WAIT, canary=WAIT.control * 1.25), 20_000, 72, 1000, 40),
)


def at_margin(truth: Truth, odds_ratio: float) -> Truth:
    """A rate at which the odds of failing are that many times the control's."""
    odds = truth.control / (1 - truth.control) * odds_ratio
    return replace(truth, canary=odds / (1 + odds))


def _whole_engine() -> Iterator[Scenario]:
    """Six guardrails, a ramp of 5, 25 and 50 %, a day each, diurnal drift of 30 %, judged scores that come late."""
    healthy = Scenario(
        "6 guardrails, healthy",
        "rolled_back",
        GUARDRAILS,
        ((0.05, DAY), (0.25, DAY), (0.5, DAY)),
        full=400,
        quick=2,
        reach=Reach("share_rolled_back", 0.05),
        drift=wave(amplitude=0.3, period=DAY),
    )
    yield healthy
    at_its_margin = replace(
        healthy, about="promoted", full=300, quick=2, methods=(), reach=Reach("share_promoted", 0.05)
    )
    for what, truth in (
        ("hallucination at its margin x1.5", at_margin(HALLUCINATION, 1.5)),
        ("cost at its margin +10 %", replace(COSTS, canary=COSTS.control * 1.1)),
        ("faithfulness at its margin -.03", replace(JUDGED_LATER, canary=0.91)),
    ):
        yield replace(at_its_margin, name=f"6 guardrails, {what}", truths=_with(truth))
    for what, truth, *_ in HARMS:
        worse = replace(JUDGED_LATER, canary=truth.canary) if truth.metric == FAITHFULNESS.metric else truth
        yield replace(healthy, name=f"6 guardrails, {what}", truths=_with(worse), full=60, quick=1, reach=None)


def _found() -> Iterator[Scenario]:
    for name, truth, calls, within, full, quick in HARMS:
        yield Scenario(
            name,
            "rolled_back",
            (truth,),
            ((0.05, calls),),
            full=full,
            quick=quick,
            methods=_tests_of(truth),
            reach=Reach("median_canary_calls", within),
        )


def _healthy() -> Iterator[Scenario]:
    for name, truth, calls, full, quick in (
        ("hallucination 1.8 %, healthy", HALLUCINATION, 200_000, 300, 2),
        ("error 1 %, healthy", ERROR, 200_000, 300, 2),
        ("faithfulness .94, healthy", FAITHFULNESS, 10_000, 1000, 25),
        ("cost, healthy", COSTS, 200_000, 200, 1),
        ("TTFT, healthy", WAIT, 200_000, 200, 1),
    ):
        yield Scenario(
            name,
            "rolled_back",
            (truth,),
            ((0.05, calls),),
            full=full,
            quick=quick,
            methods=_tests_of(truth),
            reach=Reach("share_rolled_back", 0.05),
        )


def _drifting() -> Iterator[Scenario]:
    """The design's pooled GrowthBook formula is wrong in 58 % and its z-test in 79 %; so they are under this wave."""
    yield Scenario(
        "hallucination 1.8 %, healthy, ramp 5-25-50-90 % under slow drift",
        "rolled_back",
        (HALLUCINATION,),
        ((0.05, 50_000), (0.25, 50_000), (0.5, 50_000), (0.9, 50_000)),
        full=300,
        quick=2,
        methods=(Z_TEST, GROWTHBOOK),
        reach=Reach("share_rolled_back", 0.05),
        drift=wave(amplitude=0.5, period=200_000),
    )


def _correlated() -> Iterator[Scenario]:
    yield Scenario(
        "hallucination 1.8 %, healthy, 20 calls a user that correlate by .2",
        "rolled_back",
        (replace(HALLUCINATION, alike=0.2),),
        ((0.05, 100_000),),
        full=400,
        quick=4,
        methods=(CALLS_ALONE, Z_TEST, GROWTHBOOK),
        reach=Reach("share_rolled_back", 0.05),
        crowd=pool(users=400, calls_each=20),
    )


def _sample_ratio() -> Iterator[Scenario]:
    flat: Steps = ((0.05, 60_000),)
    yield Scenario(
        "sample ratio, 5 % as planned",
        "invalid",
        (),
        flat,
        full=3000,
        quick=10,
        methods=(CHI_SQUARE,),
        reach=Reach("share_invalid", 0.001),
    )
    for name, crowd in CROWDS.items():
        yield Scenario(
            f"sample ratio, 5 % as planned, {name}",
            "invalid",
            (),
            ((0.05, 30_000),),
            full=200,
            quick=2,
            methods=(CHI_SQUARE,),
            crowd=crowd,
        )
    yield Scenario(
        "sample ratio, 6 % instead of 5 %",
        "invalid",
        (),
        flat,
        full=500,
        quick=20,
        methods=(CHI_SQUARE,),
        reach=Reach("median_calls", 10_500),
        skew=1.2,
    )
    yield Scenario(
        "sample ratio, 4 % instead of 5 %", "invalid", (), flat, full=500, quick=10, methods=(CHI_SQUARE,), skew=0.8
    )


def _with(changed: Truth) -> tuple[Truth, ...]:
    """The guardrails, one of them as it is now."""
    return tuple(changed if truth.metric.name == changed.metric.name else truth for truth in GUARDRAILS)


def _tests_of(truth: Truth) -> tuple[str, ...]:
    """Ranks of zeros and ones say nothing that their means do not."""
    return (Z_TEST, GROWTHBOOK) if truth.measure.is_rate else (Z_TEST, MANN_WHITNEY, GROWTHBOOK)

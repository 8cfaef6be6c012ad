"""The plan of a rollout: its words, its units and what happens where it is silent."""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal

Kind = Literal["rate", "score", "complaint", "cost", "latency"]
Unit = Literal["share", "score", "ms", "USD", "tokens"]
Direction = Literal["lower", "higher"]

DURATION = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
NEAREST_LIMIT = 1e-6  # of a share, to 0 and 1
LARGEST_LIMIT = 1e9  # of USD, ms and tokens
LEAST_CAP, MOST_CAP = Decimal("0.01"), Decimal(1_000_000)  # USD
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
NOBODY: Mapping[str, str] = {}
ERROR_RATE, OUTPUT_VALID, THUMBS_DOWN = "error_rate", "output_valid", "thumbs_down"
# Measured from calls, and so of a kind that is known.
KIND_OF: Mapping[str, Kind] = {
    ERROR_RATE: "rate",
    "latency": "latency",
    "ttft": "latency",
    "inter_token_latency": "latency",
    "cost_per_call": "cost",
    "tokens": "cost",
    OUTPUT_VALID: "rate",
}
# Quality measures that are better when they are smaller; every other score is taken to be better when it is larger.
LOWER_IS_BETTER = frozenset(
    {*KIND_OF.keys() - {OUTPUT_VALID}, THUMBS_DOWN, "hallucination", "toxicity", "bias", "refusal", "pii_leak"}
)


@dataclass(frozen=True, slots=True)
class PlanStep:
    """weight_bp: the canary's share, 1 to 9999 basis points. hold_s: how long the canary stays on it at least."""

    weight_bp: int
    hold_s: int


DEFAULT_STEPS = (PlanStep(500, 24 * 3600), PlanStep(2500, 12 * 3600), PlanStep(5000, 12 * 3600))


@dataclass(frozen=True, slots=True)
class Judged:
    """The share of each arm's calls that get a score, over 0 and at most 1."""

    control: float = 1.0
    canary: float = 1.0


@dataclass(frozen=True, slots=True)
class PlanMetric:
    """What judges one measure: `error_rate`, `latency`, the name of a score.

    measure: what it is about; empty for its own name. margin: what still counts as not worse, {"ratio": 1.5} or
    {"absolute": 0.03}; None for the default of its kind. limit: what the canary must keep whatever the control does,
    instead of the comparison; None for the comparison. weight: its share, relative to the other guardrails', in the
    evidence of harm. judged: of a score, how its calls were chosen. evaluator: of a score, whose alone are evidence:
    `faithfulness`, and from the start on `faithfulness@3`; empty for any. judged_by_step: how the evaluator's calls are
    chosen on each step, from the start on; empty where `judged` holds for all.
    """

    name: str
    kind: Kind
    direction: Direction
    role: Literal["guardrail", "observed"] = "guardrail"
    margin: Mapping[str, float] | None = None
    weight: float = 1.0
    measure: str = ""
    limit: float | None = None
    judged: Judged = Judged()
    evaluator: str = ""
    judged_by_step: tuple[Judged, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "measure", self.measure or self.name)

    @property
    def unit(self) -> Unit:
        """What its estimates are counted in: a latency under a limit is the share of calls that take longer."""
        match self.kind:
            case "latency":
                return "share" if self.limit else "ms"
            case "cost":
                return "tokens" if self.measure == "tokens" else "USD"
            case "score":
                return "score"
            case _:
                return "share"

    def judged_on(self, step: int) -> Judged:
        return self.judged_by_step[step] if self.judged_by_step else self.judged

    def to_json(self) -> dict[str, Any]:
        """Of an evaluator only where there is one: what was stored before there were any still follows from itself."""
        said = {**asdict(self), "judged_by_step": [asdict(judged) for judged in self.judged_by_step]}
        silent = {name for name in ("evaluator", "judged_by_step") if not said[name]}
        return {name: value for name, value in said.items() if name not in silent}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "PlanMetric":
        by_step = tuple(Judged(**judged) for judged in data.get("judged_by_step", ()))
        return cls(**{**data, "judged": Judged(**data.get("judged", {})), "judged_by_step": by_step})


@dataclass(frozen=True, slots=True)
class Plan:
    """alpha: the chance of a false rollback over the whole rollout, and likewise of a false promotion. warm_up_s: what
    arrives in it after the start is not counted. when_superseded: what becomes of a rollout of the label that is active
    when this one is to be started: it stays and this one is refused, or it ends. canary_spend_cap: what the canary's
    calls may cost in all, USD; None for no cap. needs_budget_bp: the least share of the label's error budgets that
    must be left at the start, of all of them or by the names of objectives."""

    metrics: tuple[PlanMetric, ...]
    steps: tuple[PlanStep, ...] = DEFAULT_STEPS
    alpha: float = 0.05
    promote_when: Literal["proven_safe", "no_harm_found"] = "proven_safe"
    on_inconclusive: Literal["hold", "rollback", "promote"] = "hold"
    max_duration_s: int = 7 * 86_400
    min_units: int = 100
    look_every_s: int = 60
    warm_up_s: int = 0
    auto_promote: bool = True
    auto_rollback: bool = True
    when_superseded: Literal["reject", "replace"] = "reject"
    canary_spend_cap: Decimal | None = None
    needs_budget_bp: int | Mapping[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        cap = self.canary_spend_cap
        return {
            **asdict(self),
            "metrics": [metric.to_json() for metric in self.metrics],
            "canary_spend_cap": None if cap is None else dollars(cap),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Plan":
        steps = tuple(PlanStep(**step) for step in data["steps"])
        metrics = tuple(PlanMetric.from_json(metric) for metric in data["metrics"])
        cap = data.get("canary_spend_cap")
        caps = {"canary_spend_cap": None if cap is None else Decimal(cap)}
        return cls(**{**data, **caps, "steps": steps, "metrics": metrics})


def default_metrics(
    seen: Mapping[str, Kind],
    measured: Collection[str],
    *,
    has_response_schema: bool,
    evaluators: Mapping[str, str] = NOBODY,
) -> tuple[PlanMetric, ...]:
    """What a plan judges that names no metrics.

    error_rate, of latency, ttft and cost_per_call what was measured lately, output_valid where there is a response
    schema, and every score of `seen`. evaluators: by score, who gives it.
    """
    names = [
        ERROR_RATE,
        *(name for name in ("latency", "ttft", "cost_per_call") if name in measured),
        *([OUTPUT_VALID] if has_response_schema else []),
    ]
    kinds: dict[str, Kind] = {**{name: KIND_OF[name] for name in names}, **seen}
    return tuple(
        PlanMetric(name, kind, usual_direction(name), evaluator=evaluators.get(name, ""))
        for name, kind in kinds.items()
    )


def usual_kind(score: str, *, only_zero_or_one: bool) -> Kind:
    """The kind of a score, by the values that were seen."""
    if score == THUMBS_DOWN:
        return "complaint"
    return "rate" if only_zero_or_one else "score"


def usual_direction(metric: str) -> Direction:
    return "lower" if metric in LOWER_IS_BETTER else "higher"


def check_limit(kind: Kind, limit: float) -> None:
    """Raises ValueError, saying what was expected, unless a metric of this kind can have this limit."""
    if kind == "complaint":
        raise ValueError(
            "expected no limit: a complaint may come long after its call, so that its rate is not known yet"
        )
    if kind in ("rate", "score"):
        if not NEAREST_LIMIT <= limit <= 1 - NEAREST_LIMIT:
            raise ValueError(f"expected a limit between 0 and 1, by {NEAREST_LIMIT:g} at least, got {limit}")
    elif not 1 / LARGEST_LIMIT <= limit <= LARGEST_LIMIT:
        raise ValueError(f"expected a limit over 0, from {1 / LARGEST_LIMIT:g} to {LARGEST_LIMIT:g}, got {limit}")


def dollars(usd: Decimal) -> str:
    """All of its digits, as JSON has amounts: `25`, `0.000012`."""
    return f"{usd.normalize():f}"


def read_duration_s(written: Any) -> int:
    """Seconds of a duration written `90s`, `15m`, `24h` or `7d`. Raises ValueError."""
    found = DURATION.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        raise ValueError(f'expected a duration such as "90s", "15m", "24h" or "7d", got {written!r}')
    return int(found[1]) * SECONDS[found[2]]

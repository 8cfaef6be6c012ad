"""The plan of a rollout: its words, its units and what happens where it is silent."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

Kind = Literal["rate", "score"]
Direction = Literal["lower", "higher"]

DURATION = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
ERROR_RATE = "error_rate"
# Quality measures that are better when they are smaller; every other score is taken to be better when it is larger.
LOWER_IS_BETTER = frozenset({ERROR_RATE, "hallucination", "toxicity", "bias", "refusal", "thumbs_down", "pii_leak"})


@dataclass(frozen=True, slots=True)
class PlanStep:
    """weight_bp: the canary's share, 1 to 9999 basis points. hold_s: how long the canary stays on it at least."""

    weight_bp: int
    hold_s: int


DEFAULT_STEPS = (PlanStep(500, 24 * 3600), PlanStep(2500, 12 * 3600), PlanStep(5000, 12 * 3600))


@dataclass(frozen=True, slots=True)
class PlanMetric:
    """margin: what still counts as not worse, {"ratio": 1.5} or {"absolute": 0.03}; None for the default of its kind.

    weight: its share, relative to the other guardrails', in the evidence of harm.
    """

    name: str
    kind: Kind
    direction: Direction
    role: Literal["guardrail", "observed"] = "guardrail"
    margin: Mapping[str, float] | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """alpha: the chance of a false rollback over the whole rollout, and likewise of a false promotion."""

    metrics: tuple[PlanMetric, ...]
    steps: tuple[PlanStep, ...] = DEFAULT_STEPS
    alpha: float = 0.05
    promote_when: Literal["proven_safe", "no_harm_found"] = "proven_safe"
    on_inconclusive: Literal["hold", "rollback", "promote"] = "hold"
    max_duration_s: int = 7 * 86_400
    min_units: int = 100
    look_every_s: int = 60
    auto_promote: bool = True
    auto_rollback: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Plan":
        steps = tuple(PlanStep(**step) for step in data["steps"])
        metrics = tuple(PlanMetric(**metric) for metric in data["metrics"])
        return cls(**{**data, "steps": steps, "metrics": metrics})


def default_metrics(seen: Mapping[str, Kind]) -> tuple[PlanMetric, ...]:
    """The error rate, and every score name that the prompt was given lately with the kind of its values."""
    kinds: dict[str, Kind] = {ERROR_RATE: "rate", **seen}
    return tuple(PlanMetric(name, kind, usual_direction(name)) for name, kind in kinds.items())


def usual_direction(metric: str) -> Direction:
    return "lower" if metric in LOWER_IS_BETTER else "higher"


def read_share_bp(written: Any) -> int:
    """A share such as "5%", "0.1%" or 0.05 in basis points. Raises ValueError unless it is a whole number of them."""
    try:
        text = "" if isinstance(written, bool) else str(written).strip()
        share = Decimal(text[:-1]) * 100 if text.endswith("%") else Decimal(text) * 10_000
    except InvalidOperation:
        raise ValueError(f'expected a share such as "5%" or 0.05, got {written!r}') from None
    if not share.is_finite() or share != share.to_integral_value() or not 0 <= share <= 10_000:
        raise ValueError(f"expected 0 to 100 % in steps of 0.01 %, got {written!r}")
    return int(share)


def read_duration_s(written: Any) -> int:
    """Seconds of a duration written `90s`, `15m`, `24h` or `7d`. Raises ValueError."""
    found = DURATION.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        raise ValueError(f'expected a duration such as "90s", "15m", "24h" or "7d", got {written!r}')
    return int(found[1]) * SECONDS[found[2]]

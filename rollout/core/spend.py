"""What the arms of a rollout have cost, and when the canary will have cost what it may."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rollout.core.pace import seconds_until
from rollout.core.plan import PlanStep, dollars


@dataclass(frozen=True, slots=True)
class ArmSpend:
    """Of an arm's calls since the start, the warm-up too. usd: of those whose cost is known, `priced` of `calls`."""

    usd: Decimal
    calls: int
    priced: int

    @property
    def unpriced(self) -> int:
        return self.calls - self.priced

    def to_json(self) -> dict[str, Any]:
        return {"usd": dollars(self.usd), "calls": self.calls, "unpriced_calls": self.unpriced}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ArmSpend":
        return cls(Decimal(data["usd"]), data["calls"], data["calls"] - data["unpriced_calls"])


@dataclass(frozen=True, slots=True)
class Reach:
    """When a cap is reached: after so many more calls of the canary; seconds: None where no traffic tells."""

    canary_calls: float
    seconds: float | None


def reach_of_cap(
    left_usd: Decimal, *, usd_per_call: Decimal, calls_per_s: float, steps: Sequence[PlanStep], left_s: float
) -> Reach | None:
    """None where calls cost nothing. usd_per_call: over all calls of the canary, those of unknown cost as nothing.
    The others as of core.pace."""
    if usd_per_call <= 0:
        return None
    calls = float(max(left_usd, Decimal(0)) / usd_per_call)
    if not calls_per_s:
        return Reach(calls, None)
    return Reach(calls, seconds_until(calls, calls_per_s=calls_per_s, steps=steps, left_s=left_s))

"""What the arms of a rollout have cost up to now, and when the canary will have cost what it may."""

from datetime import datetime, timedelta
from decimal import Decimal

from observability import evidence
from observability.core.evidence import PICODOLLARS
from rollout.core.plan import Plan
from rollout.core.spend import ArmSpend, Reach, reach_of_cap
from rollout.models import Rollout, Status

LATELY = timedelta(days=1)
NOTHING = ArmSpend(Decimal(0), 0, 0)

Spend = dict[str, ArmSpend]


def spend_of(rollout: Rollout) -> Spend | None:
    """By arm, exactly; None of a rollout that was planned before that was counted."""
    if "canary_spend_cap" not in rollout.plan:
        return None
    return {
        arm: ArmSpend(Decimal(sums.picodollars) / PICODOLLARS, sums.calls, sums.priced)
        for arm, sums in evidence.costs(rollout.id, rollout.versions).items()
    }


def reach_of(rollout: Rollout, spend: Spend, at: datetime) -> Reach | None:
    """When the cap is reached at the cost and traffic of the last day; None without a cap or any cost."""
    plan, canary = Plan.from_json(rollout.plan), spend["canary"]
    if plan.canary_spend_cap is None or rollout.started_at is None:
        return None
    since, before = _a_day_ago(rollout, at)
    calls = canary.calls - before["canary"].calls
    if calls <= 0:
        return None
    both = sum(spend[arm].calls - before[arm].calls for arm in spend)
    goes_on = rollout.status == Status.RUNNING and not rollout.hold_reason
    return reach_of_cap(
        plan.canary_spend_cap - canary.usd,
        usd_per_call=(canary.usd - before["canary"].usd) / calls,
        calls_per_s=both / max((at - since).total_seconds(), 1.0),
        steps=plan.steps[rollout.step :] if goes_on else plan.steps[rollout.step : rollout.step + 1],
        left_s=(rollout.hold_until - at).total_seconds() if rollout.hold_until else 0.0,
    )


def stored_spend(body: dict[str, dict[str, dict[str, object]]]) -> Spend | None:
    """As a verdict has it; None of one from before that was counted."""
    if "spend" not in body:
        return None
    return {arm: ArmSpend.from_json(body["spend"][arm]) for arm in ("control", "canary")}


def _a_day_ago(rollout: Rollout, at: datetime) -> tuple[datetime, Spend]:
    """What had been spent by then, or by the start: nothing."""
    start = rollout.started_at or at
    earlier = rollout.verdicts.filter(found_at__lte=at - LATELY).first()
    known = stored_spend(earlier.body) if earlier else None
    return (earlier.found_at, known) if earlier and known else (start, {"control": NOTHING, "canary": NOTHING})

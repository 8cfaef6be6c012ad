"""Rollouts, verdicts and transitions as JSON (product.md, section 10): one shape for the API, events and webhooks."""

from datetime import datetime
from typing import Any

from django.conf import settings

from observability.selectors import example_trace_ids
from registry.selectors import diff_versions
from rollout.models import Rollout, Transition, Verdict

EXAMPLE_TRACES = 5


def rollout_json(rollout: Rollout) -> dict[str, Any]:
    """The rollout with its newest verdict. steps and weights in basis points, durations in seconds."""
    return {
        "id": rollout.id,
        "prompt": rollout.prompt.name,
        "label": rollout.label.name,
        "control": rollout.control.number,
        "canary": rollout.canary.number,
        "status": rollout.status,
        "step": rollout.step,
        "steps": rollout.plan["steps"],
        "weight_bp": rollout.weight_bp,
        "revision": rollout.revision,
        "hold_reason": rollout.hold_reason or None,
        "hold_until": _time(rollout.hold_until),
        "verdict": rollout.verdict.body if rollout.verdict else None,
        "plan": rollout.plan,
        "created_by": rollout.created_by,
        "created_at": _time(rollout.created_at),
        "started_at": _time(rollout.started_at),
        "ended_at": _time(rollout.ended_at),
        "url": page_url(rollout),
    }


def transition_json(transition: Transition) -> dict[str, Any]:
    return {
        "revision": transition.revision,
        "action": transition.action,
        "from_status": transition.from_status,
        "to_status": transition.to_status,
        "step": transition.step,
        "from_weight_bp": transition.from_weight_bp,
        "to_weight_bp": transition.to_weight_bp,
        "cause": transition.cause,
        "reason": transition.reason,
        "actor": transition.actor,
        "at": _time(transition.happened_at),
        "verdict": transition.verdict.body if transition.verdict else None,
    }


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {"id": verdict.pk, "step": verdict.step, **verdict.body}


def evidence_json(rollout: Rollout, transition: Transition) -> dict[str, Any]:
    """What a receiver of the event needs to understand the transition without asking back.

    For a rollback and a promotion also the difference of the templates and a few traces of both arms to look at.
    """
    evidence: dict[str, Any] = {"transition": transition_json(transition)}
    if transition.action in {"rolled_back", "promoted"}:
        evidence["diff"] = diff_versions(rollout.control, rollout.canary)
        evidence["traces"] = {
            arm: example_trace_ids(rollout_id=rollout.id, arm=arm, limit=EXAMPLE_TRACES)
            for arm in ("control", "canary")
        }
    return evidence


def page_url(rollout: Rollout) -> str:
    return f"{settings.BASE_URL}/rollouts/{rollout.id}"


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None

"""A replay as people read it, a line for each change of the finding, and for programs."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rollout.formats import count, weight
from rollout.models import Status
from rollout.replay import Look, Replay

ACTED = {
    "advance_step": "gone to the next step",
    "promote": "promoted it",
    "rollback": "rolled it back",
    "hold": "held it for a person",
}


def lines(replayed: Replay) -> Iterator[str]:
    """The last says what the plan would have come to, beside what really happened."""
    rollout = replayed.rollout
    yield (
        f"Rollout {rollout.pk} of {rollout.prompt.name}:{rollout.label.name}, {rollout.control.number} to "
        f"{rollout.canary.number}, under the other plan:"
    )
    for name in replayed.untested:
        yield f"The sample ratio of {name}'s scores is not tested: the rollout did not count them against these shares."
    if replayed.plan.canary_spend_cap is not None and "spend" not in replayed.last.body:
        yield "The canary's spend cap is not tested: what its calls cost was not recorded."
    for look in replayed.changes:
        yield _change(look, replayed)
    yield f"{_outcome(replayed)} {_really(replayed)}"


def replay_json(replayed: Replay) -> dict[str, Any]:
    """body: the verdict that would have been stored, in the shape of the stored ones."""
    really = replayed.really
    return {
        "rollout": replayed.rollout.pk,
        "plan": replayed.plan.to_json(),
        "untested_sample_ratios": list(replayed.untested),
        "changes": [_look_json(look) for look in replayed.changes],
        "outcome": _look_json(replayed.outcome) if replayed.outcome else None,
        "last_look": {"verdict": replayed.last.verdict_id, "at": _stamp(replayed.last.at)},
        "really": {
            "status": replayed.rollout.status,
            "action": really.action,
            "cause": really.cause,
            "at": _stamp(really.happened_at),
            "verdict": really.verdict_id,
        },
    }


def _change(look: Look, replayed: Replay) -> str:
    steps = replayed.plan.steps
    where = f"step {look.step + 1} of {len(steps)} ({weight(steps[look.step].weight_bp)})"
    seen = f"{count(look.canary_calls)} canary calls"
    act = [f"It would have {ACTED[look.finding.act]}."] if look.finding.act else []
    return f"{_time(look.at)}  {where}  {seen}  {look.finding.kind}: {' '.join([*look.finding.reasons, *act])}"


def _outcome(replayed: Replay) -> str:
    look = replayed.outcome
    if look is None or look.finding.act is None:
        return f"This plan would have decided nothing by the last look, at {_time(replayed.last.at)}."
    when = f"at {_time(look.at)} after {count(look.canary_calls)} canary calls"
    return f"This plan would have {ACTED[look.finding.act]} {when} (cause {look.finding.cause})."


def _really(replayed: Replay) -> str:
    rollout, really = replayed.rollout, replayed.really
    match rollout.status:
        case Status.RUNNING | Status.PAUSED:
            return f"Really it is still {rollout.status}, on step {rollout.step + 1} of {len(replayed.plan.steps)}."
        case _:
            ended = f"{really.action.replace('_', ' ')} at {_time(really.happened_at)}"
            return f"Really it was {ended} (cause {really.cause})."


def _look_json(look: Look) -> dict[str, Any]:
    return {
        "verdict": look.verdict_id,
        "at": _stamp(look.at),
        "step": look.step,
        "canary_calls": look.canary_calls,
        "kind": look.finding.kind,
        "act": look.finding.act,
        "cause": look.finding.cause,
        "body": look.body,
    }


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _stamp(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")

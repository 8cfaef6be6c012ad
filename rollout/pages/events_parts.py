"""An event as people read it: names and numbers, and why where the pages of rollouts say so too.

Notes of versions and reasons of label moves are free text that anyone may fill with a prompt's: they are in the admin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.safestring import SafeString

from registry.models import Event
from rollout.formats import count, moment
from rollout.webhooks import slack
from rollout.wording import HAPPENED, State, who


@dataclass(frozen=True, slots=True)
class EventRow:
    """rollout: the id of the one that it is about, or none."""

    sequence: str
    at: SafeString
    type: str
    state: State
    prompt: str
    words: str
    rollout: str


def event_row(event: Event, now: datetime) -> EventRow:
    return EventRow(
        sequence=count(event.sequence),
        at=moment(event.occurred_at, now),
        type=event.type,
        state=_state(event.type),
        prompt=event.prompt,
        words=_words(event),
        rollout=str(_part(event.data, "rollout").get("id", "")),
    )


def _state(type_: str) -> State:
    known = HAPPENED.get(type_.removeprefix("rollout."))
    return State(known.icon if known else "open", type_)


def _words(event: Event) -> str:
    told = event.data
    match event.type:
        case "version.published":
            return f"{told.get('version')} was published by {_who(told.get('author'))}"
        case "label.moved":
            moved = f"moved from {told['from']}" if told.get("from") else "set"
            return f"{told.get('label')} was {moved} to {told.get('to')} by {_who(told.get('actor'))}"
        case "prompt.archived":
            return f"archived by {_who(told.get('actor'))}: it is served no longer"
        case "prompt.unarchived":
            return f"served again, by {_who(told.get('actor'))}"
        case "webhook.disabled":
            why = str(told.get("reason") or "").replace("_", " ")
            return f"a webhook gets nothing any more: {why}" if why else "a webhook gets nothing any more"
        case type_ if type_ in slack.TOLD:
            return _of_alert(event)
        case _:
            return _of_rollout(event)


def _of_rollout(event: Event) -> str:
    rollout, transition = _part(event.data, "rollout"), _part(event.data, "transition")
    control, canary, label = (rollout.get(name) for name in ("control", "canary", "label"))
    happened = slack.HAPPENED.get(event.type, event.type).format(control=control, canary=canary)
    reason = f": “{transition['reason']}”" if transition.get("reason") else ""
    return f"{canary} over {control} on {label} {happened}, by {_who(transition.get('actor'))}{reason}"


def _of_alert(event: Event) -> str:
    alert = _part(event.data, "alert")
    told = {"severity": alert.get("severity"), "actor": _who(event.data.get("actor")), "until": event.data.get("until")}
    reason = f": “{event.data['reason']}”" if event.data.get("reason") else ""
    return f"{alert.get('summary')} ({slack.TOLD[event.type].format_map(told)}){reason}"


def _who(actor: Any) -> str:
    return who(str(actor or "")) or "nobody known"


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = data.get(name)
    return part if isinstance(part, Mapping) else {}

"""An event as people read it: names and numbers, and why where the pages of rollouts say so too.

Notes of versions and reasons of label moves are free text that anyone may fill with a prompt's: they are in the admin.
Of an alert strangers are told its kind and what became of it. Its summary may tell what is spent, and reasons are what
people wrote for each other: who has logged in reads both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.safestring import SafeString

from observability.models import AlertKind
from registry.models import Event
from rollout.formats import count, moment
from rollout.pages.alerts_words import WORDS
from rollout.webhooks import slack
from rollout.wording import HAPPENED, State, who

TO_STRANGERS = {
    "alert.fired": "an alert fired",
    "alert.renotified": "an alert still holds",
    "alert.acknowledged": "somebody is at an alert",
    "alert.silenced": "an alert is silenced",
    "alert.unsilenced": "an alert is told of again",
    "alert.resolved": "an alert was resolved",
}


@dataclass(frozen=True, slots=True)
class EventRow:
    """rollout, alert: the id of the one that it is about, or none; alert: for those who may open its page."""

    sequence: str
    at: SafeString
    type: str
    state: State
    prompt: str
    words: str
    rollout: str
    alert: str


def event_row(event: Event, now: datetime, *, to_person: bool) -> EventRow:
    """to_person: to somebody who has logged in."""
    return EventRow(
        sequence=count(event.sequence),
        at=moment(event.occurred_at, now),
        type=event.type,
        state=_state(event.type),
        prompt=event.prompt,
        words=_words(event, to_person=to_person),
        rollout=str(_part(event.data, "rollout").get("id", "")),
        alert=str(_part(event.data, "alert").get("id", "")) if to_person else "",
    )


def _state(type_: str) -> State:
    known = HAPPENED.get(type_.removeprefix("rollout."))
    return State(known.icon if known else "open", type_)


def _words(event: Event, *, to_person: bool) -> str:
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
            return _of_alert(event) if to_person else _of_alert_to_strangers(event)
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
    told = {
        "severity": alert.get("severity"),
        "actor": _who(event.data.get("actor")),
        "until": _minute(event.data.get("until")),
    }
    reason = f": “{event.data['reason']}”" if event.data.get("reason") else ""
    return f"{alert.get('summary')} ({slack.TOLD[event.type].format_map(told)}){reason}"


def _of_alert_to_strangers(event: Event) -> str:
    kind = _part(event.data, "alert").get("kind")
    happened = TO_STRANGERS[event.type]
    return f"{happened}: {WORDS[AlertKind(kind)].title}" if kind in AlertKind.values else happened


def _minute(told: Any) -> str:
    try:
        return f"{datetime.fromisoformat(str(told)):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return "nobody knows when"


def _who(actor: Any) -> str:
    return who(str(actor or "")) or "nobody known"


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = data.get(name)
    return part if isinstance(part, Mapping) else {}

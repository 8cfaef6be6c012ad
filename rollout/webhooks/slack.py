"""An event as one sentence in Slack's text format, which Mattermost, Rocket.Chat and others take too.

Raises nothing for any event, also of types and shapes that it does not know: it is written in the transaction of the
change, and no sentence must keep a rollback from happening.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from registry.models import Event

LONGEST_REASON = 1000  # characters; Slack cuts a message at 40 000
HAPPENED = {
    "rollout.started": "has started",
    "rollout.step_advanced": "goes on to its next step",
    "rollout.paused": "is paused",
    "rollout.resumed": "goes on",
    "rollout.promoted": "is promoted: everyone gets {canary}",
    "rollout.rolled_back": "is rolled back: everyone gets {control} again",
    "rollout.cancelled": "is cancelled: everyone gets {control}",
    "rollout.invalid": "is held: the arms do not get their shares",
    "rollout.inconclusive": "has used up its time without proof",
    "rollout.harm_found": "is held: harm was found",
    "rollout.spend_cap_reached": "is held: the canary has cost what it may",
    "rollout.proven_safe": "is proven safe and waits for a person",
    "rollout.evaluation_failed": "is held: a look at it failed",
    "rollout.recovered": "is looked at again",
}
TOLD = {
    "alert.fired": "{severity}",
    "alert.renotified": "still {severity}",
    "alert.acknowledged": "acknowledged by {actor}",
    "alert.silenced": "silenced by {actor} until {until}",
    "alert.unsilenced": "told of again, by {actor}",
    "alert.resolved": "resolved",
}


def slack_text(event: Event) -> str:
    """Which prompt, which versions, what happened, why, and the address of the page."""
    if event.type in HAPPENED:
        return _of_rollout(event)
    if event.type in TOLD:
        return _of_alert(event)
    told = event.data.get
    subject, reason = event.prompt, ""
    match event.type:
        case "version.published":
            happened, reason = f"{told('version')} was published by {told('author')}", told("notes")
        case "label.moved":
            before = f"moved from {told('from')}" if told("from") else "set"
            happened = f"{told('label')} was {before} to {told('to')} by {told('actor')}"
            reason = told("reason")
        case "prompt.archived":
            happened = f"was archived by {told('actor')}: it is served no longer"
        case "prompt.unarchived":
            happened = f"is served again, by {told('actor')}"
        case "webhook.disabled":
            subject = f"webhook {told('description') or told('webhook')}"
            happened = f"was disabled by {told('actor')} and gets nothing any more"
            reason = str(told("reason") or "").replace("_", " ")
        case _:
            happened = event.type
    return _sentence(subject, happened, reason, f"{settings.BASE_URL}/")


def _of_rollout(event: Event) -> str:
    rollout, transition = _part(event.data, "rollout"), _part(event.data, "transition")
    versions = {"control": rollout.get("control"), "canary": rollout.get("canary")}
    happened = HAPPENED[event.type].format_map(versions)
    subject = f"{event.prompt} ({rollout.get('label')})"
    told = f"the rollout of {versions['canary']} over {versions['control']} {happened}, by {transition.get('actor')}"
    return _sentence(subject, told, _reason(transition), rollout.get("url") or f"{settings.BASE_URL}/")


def _of_alert(event: Event) -> str:
    alert = _part(event.data, "alert")
    told = {"severity": alert.get("severity"), "actor": event.data.get("actor"), "until": event.data.get("until")}
    subject = f"{event.prompt} ({alert.get('label')})" if alert.get("label") else event.prompt or "alert"
    happened = f"{alert.get('summary')} [{TOLD[event.type].format_map(told)}]"
    return _sentence(subject, happened, event.data.get("reason"), alert.get("url") or f"{settings.BASE_URL}/")


def _reason(transition: Mapping[str, Any]) -> Any:
    """What a person wrote, else what the verdict gives as its reasons."""
    return transition.get("reason") or " ".join(map(str, _part(transition, "verdict").get("reasons") or ()))


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = data.get(name)
    return part if isinstance(part, Mapping) else {}


def _sentence(subject: str, happened: str, reason: Any, address: str) -> str:
    why = f": {str(reason)[:LONGEST_REASON]}" if reason else ""
    return f"*{_escaped(subject)}*: {_escaped(happened + why)} <{address}>"


def _escaped(text: str) -> str:
    """By the three characters that Slack reads as markup of links, mentions and channels (`<!channel>`)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

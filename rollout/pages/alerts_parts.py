"""Alerts as people read them: in a line, and with the numbers behind them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.safestring import SafeString

from observability.core.evidence import COST_PER_CALL, ERROR_RATE, LATENCY, OUTPUT_VALID, TTFT
from observability.models import Alert, AlertKind, Severity
from observability.selectors.alerts_at_hand import at_hand
from registry.models import Event
from rollout.formats import DASH, count, duration, estimate, moment, money, weight
from rollout.pages.alerts_words import OF_SPEND, WORDS
from rollout.wording import State, who

SHOWN_AT_ONCE = 10
SHARES = frozenset({"share", "share_before", "share_after", "excess", "used", "budget_left"})
LEVELS = frozenset({"now", "baseline"})
OF_METRICS = {ERROR_RATE: "share", OUTPUT_VALID: "share", LATENCY: "ms", TTFT: "ms", COST_PER_CALL: "USD"}
"""What a level of a metric is told in; scores are plain numbers."""
NOTICE_WORDS = {
    "alert.fired": "Told that it holds",
    "alert.renotified": "Told again that it still holds",
    "alert.acknowledged": "Acknowledged",
    "alert.silenced": "Silenced",
    "alert.unsilenced": "Told of again",
    "alert.resolved": "Told that it is over",
}


@dataclass(frozen=True, slots=True)
class AlertLine:
    """about: the prompt and label, or empty. since: how long it has held, or did."""

    id: str
    state: State
    title: str
    summary: str
    about: str
    prompt: str
    since: str
    fired_at: SafeString
    handled: str


@dataclass(frozen=True, slots=True)
class Glance:
    loud: Sequence[AlertLine]
    quiet: Sequence[AlertLine]
    needing: int
    silenced: int

    @property
    def more(self) -> int:
        return self.needing - len(self.loud)

    @property
    def more_silenced(self) -> int:
        return self.silenced - len(self.quiet)

    @property
    def in_short(self) -> str:
        return "1 alert is open" if self.needing == 1 else f"{count(self.needing)} alerts are open"


@dataclass(frozen=True, slots=True)
class Notice:
    at: SafeString
    words: str
    why: str


def alerts_at_a_glance(at: datetime, *, to_person: bool) -> Glance:
    """The worst first. Strangers are told that spend needs a look, and not what is spent."""
    found = at_hand(limit=SHOWN_AT_ONCE)
    loud, quiet = ([line(alert, at, to_person=to_person) for alert in some] for some in (found.loud, found.quiet))
    return Glance(loud, quiet, found.all_loud, found.all_quiet)


def line(alert: Alert, now: datetime, *, to_person: bool = True) -> AlertLine:
    """alert: with silenced_until. to_person: to somebody who has logged in."""
    words = WORDS[AlertKind(alert.kind)]
    shown = to_person or alert.kind not in OF_SPEND
    return AlertLine(
        id=alert.pk,
        state=state(alert),
        title=words.title,
        summary=f"{alert.summary.rstrip('.')}." if shown else f"{words.title}: log in to read by how much.",
        about=", ".join(filter(None, (alert.prompt, alert.label))),
        prompt=alert.prompt,
        since=f"for {duration(((alert.resolved_at or now) - alert.fired_at).total_seconds())}",
        fired_at=moment(alert.fired_at, now),
        handled=handled(alert, now) if to_person else "",
    )


def state(alert: Alert) -> State:
    if alert.resolved_at:
        return State("safe", "Resolved")
    if alert.silenced_until:  # type: ignore[attr-defined]  # annotated
        return State("open", "Silenced")
    return State("harm", "Critical") if alert.severity == Severity.CRITICAL else State("held", "Warning")


def handled(alert: Alert, now: datetime) -> str:
    """Who is at it, and for how long nobody is told; empty where nobody did anything."""
    done = [f"acknowledged by {who(alert.acknowledged_by)}"] if alert.acknowledged_at else []
    until = alert.silenced_until  # type: ignore[attr-defined]  # annotated
    silenced = [f"silenced for another {duration((until - now).total_seconds())}"] if until else []
    return ", ".join([*done, *silenced])


def causes(data: Mapping[str, Any]) -> list[str]:
    """What the check found to line up with it."""
    found = data.get("causes")
    return [in_words(cause) for cause in found] if isinstance(found, list) else []


def numbers(data: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, str]]:
    """Each but the causes, with its name in words. Of a budget what it is of dollars, and not its number."""
    left_out = {"causes", "budget"} if "budget_usd" in data else {"causes"}
    unit = OF_METRICS.get(str(data.get("metric")))
    for name, value in data.items():
        if name in left_out:
            continue
        if at := _time(value, name):
            yield _named(name), moment(at, now)
        elif unit and name in LEVELS and isinstance(value, int | float):
            yield _named(name), estimate(value, unit)
        else:
            yield _named(name), in_words(value, name)


def in_words(value: Any, name: str = "") -> str:
    """A value of JSON as people read it, however deep it is; one whose name tells its unit in that."""
    told = _in_its_unit(value, name)
    if told is not None:
        return told
    match value:
        case None | "":
            return DASH
        case bool():
            return "yes" if value else "no"
        case int():
            return count(value)
        case float():
            return f"{value:.4g}" if abs(value) < 1e4 else count(round(value))
        case list():
            return ", ".join(map(in_words, value)) or DASH
        case dict():
            return ", ".join(f"{_named(each)}: {in_words(part, each)}" for each, part in value.items()) or DASH
        case _:
            return str(value)


def _in_its_unit(value: Any, name: str) -> str | None:
    """None where the name tells no unit, or the value is nothing that has one."""
    if at := _time(value, name):
        return f"{at:%Y-%m-%d %H:%M} UTC"
    try:
        if name == "usd" or name.endswith("_usd"):
            return money(float(value))
        if name in SHARES:
            return estimate(float(value), "share")
        if name.endswith("_bp"):
            return weight(int(value))
        if name.endswith("_s"):
            return duration(float(value))
    except (TypeError, ValueError):
        return None
    return None


def _time(value: Any, name: str) -> datetime | None:
    """In UTC; None where the name tells no time, or the value is none."""
    if not isinstance(value, str) or not (name in ("at", "since") or name.endswith("_at")):
        return None
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except ValueError:
        return None


def _named(name: str) -> str:
    """Without the unit, which the value has."""
    for unit in ("_usd", "_bp", "_s"):
        name = name.removesuffix(unit)
    return name.replace("_", " ")


def notice(event: Event, now: datetime) -> Notice:
    actor = event.data.get("actor")
    by = f" by {who(str(actor))}" if actor else ""
    return Notice(
        moment(event.occurred_at, now),
        f"{NOTICE_WORDS.get(event.type, event.type)}{by}",
        str(event.data.get("reason") or ""),
    )

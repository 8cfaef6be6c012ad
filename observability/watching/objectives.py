"""Does an error budget burn so fast that somebody should look? The check of objectives (core.objectives.burning).

What keeps an alert open is less than what opens it, so that one that hovers about a factor does not flap.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from common.clock import now
from observability.core.objectives import Burning, ObjectiveStanding, Rate
from observability.models import AlertKind, Objective, Severity
from observability.selectors.objectives import burnings, standings
from observability.services import alerts

PROMPTS_AT_ONCE = 25
STOP_AFTER_S = 8.0
DAY_S, HOUR_S, MINUTE_S = 86_400, 3_600, 60


def check() -> None:
    """Fire for what burns, and resolve the rest. What there is no time for keeps its alerts until the next minute,
    which begins elsewhere."""
    at, stop_at = now(), time.monotonic() + STOP_AFTER_S
    watched = list(Objective.objects.filter(active=True).select_related("prompt"))
    open_ = alerts.open_causes(AlertKind.OBJECTIVE)
    for cause in open_ - {cause_of(objective) for objective in watched}:
        alerts.resolve(cause=cause)
    for some in _in_turn(watched, at):
        if time.monotonic() > stop_at:
            break
        _check(some, open_, at)


def cause_of(objective: Objective) -> str:
    return f"{AlertKind.OBJECTIVE}:{objective.prompt.name}:{objective.label}:{objective.name}"


def _check(watched: Collection[Objective], open_: Collection[str], at: datetime) -> None:
    told = {objective.pk for objective in watched if cause_of(objective) in open_}
    burn = burnings(watched, at, open_=told)
    stand = standings([objective for objective in watched if objective.pk in burn], at)
    for objective in watched:
        if found := burn.get(objective.pk):
            _fire(objective, found, stand[objective.pk], at)
        elif objective.pk in told:
            alerts.resolve(cause=cause_of(objective))


def _fire(objective: Objective, found: Burning, stand: ObjectiveStanding, at: datetime) -> None:
    alerts.fire(
        kind=AlertKind.OBJECTIVE,
        cause=cause_of(objective),
        severity=Severity(found.tier.severity),
        summary=f"{objective.prompt.name} ({objective.label}) burns its error budget of {objective.name} "
        f"{_times(found.long)} times too fast: {_gone(found, stand, at)}",
        data=_data(objective, found, stand),
        prompt=objective.prompt.name,
        label=objective.label,
    )


def _data(objective: Objective, found: Burning, stand: ObjectiveStanding) -> dict[str, Any]:
    return {
        "objective": objective.pk,
        "name": objective.name,
        "metric": objective.metric,
        "comparison": objective.comparison,
        "threshold": objective.threshold,
        "target_bp": objective.target_bp,
        "burn_rates": [_rate(found.long), _rate(found.short)],
        "n": stand.budget.n,
        "attained": stand.budget.attained,
        "budget_left": stand.budget.left,
        "exhausted_at": stand.gone_at,
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {"window_s": int(rate.window.total_seconds()), "n": rate.n, "burn_rate": rate.burn}


def _times(rate: Rate) -> str:
    burn = rate.burn or 0.0
    return f"{burn:.0f}" if burn >= 10 else f"{burn:.1f}"


def _gone(found: Burning, stand: ObjectiveStanding, at: datetime) -> str:
    """By the rate that the alert is about, which may be faster than the present one."""
    if stand.budget.left == 0:
        return "it is gone"
    gone_at = stand.gone_after(found.long.burn or 0.0)
    return "it lasts if this ends soon" if gone_at is None else f"gone in {_words(gone_at)}"


def _words(left: timedelta) -> str:
    for size, unit in ((DAY_S, "day"), (HOUR_S, "hour")):
        if (n := round(left.total_seconds() / size)) and left.total_seconds() >= size:
            return f"{n} {unit}{'' if n == 1 else 's'}"
    minutes = max(1, round(left.total_seconds() / MINUTE_S))
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def _in_turn(watched: Sequence[Objective], at: datetime) -> Iterator[list[Objective]]:
    """Those of some prompts together, beginning at another place each minute."""
    by_prompt: defaultdict[str, list[Objective]] = defaultdict(list)
    for objective in watched:
        by_prompt[objective.prompt.name].append(objective)
    names = sorted(by_prompt)
    places = range(0, len(names), PROMPTS_AT_ONCE)
    first = int(at.timestamp() // MINUTE_S) % max(len(places), 1)
    for place in [*places[first:], *places[:first]]:
        yield [objective for name in names[place : place + PROMPTS_AT_ONCE] for objective in by_prompt[name]]

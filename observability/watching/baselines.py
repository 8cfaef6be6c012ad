"""Fires an alert for each metric of each prompt and label that has left its rolling seven days, and resolves it when
the metric is back (core.baselines)."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zlib import crc32

from common.clock import now
from observability.core.baselines import LOWER_IS_BETTER, as_told
from observability.core.evidence import BUILT_IN_METRICS, COST_PER_CALL, ERROR_RATE, LATENCY, OUTPUT_VALID, TTFT
from observability.models import AlertKind, Severity
from observability.selectors.baselines import DAY, Pair, Watched, cause_of, pairs, watched
from observability.services import alerts
from observability.watching import judge_drift
from observability.watching.amounts import percent
from observability.watching.causes import likely_causes
from registry.models import Prompt

MOST_SECONDS = 10.0
IN_A_MINUTE = 50  # prompts and labels that are looked at in MOST_SECONDS, even where much else is done
NAMES = {
    ERROR_RATE: "error rate",
    LATENCY: "latency",
    TTFT: "time to first token",
    COST_PER_CALL: "cost per call",
    OUTPUT_VALID: "share of valid outputs",
}
LONGEST_LABEL = 64  # of a label that there is: apps may write more into their calls, and no alert takes that
SEVERE = 2.0  # times the threshold: an alert is critical


def check() -> None:
    """Every prompt and label with calls in the last day, as many as there is time for, others first each minute. What
    there was no time for keeps its alerts."""
    at, stop_at = now(), time.monotonic() + MOST_SECONDS
    names = set(Prompt.objects.values_list("name", flat=True))
    waiting = [pair for pair in pairs(at - DAY) if pair[0] in names and len(pair[1]) <= LONGEST_LABEL]
    judge_drift.resolve_all_but(waiting)
    waiting.sort(key=lambda pair: _turn(pair, at), reverse=True)
    seen: set[str] = set()
    while waiting and time.monotonic() <= stop_at:
        pair = waiting.pop()
        metrics = watched(pair, at)
        seen |= {cause_of(AlertKind.BASELINE, pair, one.metric) for one in metrics}
        for one in metrics:
            _settle(pair, one)
        judge_drift.look(pair, metrics, at)
    keep_theirs = tuple(cause_of(AlertKind.BASELINE, pair, "") for pair in waiting)
    for cause in alerts.open_causes(AlertKind.BASELINE) - seen:
        if not cause.startswith(keep_theirs):
            alerts.resolve(cause=cause)


def _turn(pair: Pair, at: datetime) -> int:
    """Its place in this minute: by chance, so that none waits long where there is time for some of them alone."""
    return crc32(f"{at.timestamp() // 60} {pair}".encode())


def _settle(pair: Pair, one: Watched) -> None:
    cause = cause_of(AlertKind.BASELINE, pair, one.metric)
    if one.state == "firing" and (one.recovered or one.base is None):
        alerts.resolve(cause=cause)
    elif one.fires or one.state == "firing":
        prompt, label = pair
        data = data_of(pair, one)
        severity = Severity.CRITICAL if _is_severe(one) else Severity.WARNING
        summary = summary_of(pair, one)
        alerts.fire(
            kind=AlertKind.BASELINE,
            cause=cause,
            severity=severity,
            summary=summary,
            data=data,
            prompt=prompt,
            label=label,
        )


def data_of(pair: Pair, one: Watched) -> Mapping[str, Any]:
    """What an alert tells beside its summary."""
    return {
        "metric": one.metric,
        "now": level_since(one),
        "n": one.change.since.n if one.change else 0,
        "baseline": one.mean,
        "threshold": one.threshold,
        "days": one.base.days if one.base else 0,
        "since": one.since.isoformat().replace("+00:00", "Z") if one.since else None,
        "causes": [cause.as_json() for cause in likely_causes(pair, one.metric, one.since)] if one.since else [],
    }


def level_since(one: Watched) -> float | None:
    """Since the change."""
    if one.change is None or not one.change.since.n:
        return one.now
    return as_told(one.metric, one.change.since.total / one.change.since.n)


def summary_of(pair: Pair, one: Watched) -> str:
    prompt, label = pair
    level, mean = level_since(one), one.mean
    subject = f"{NAMES.get(one.metric, one.metric)} of {prompt}" + (f" ({label})" if label else "")
    if level is None or mean is None:
        return f"{subject} has left its baseline"
    moved = "fell" if level < mean else "rose"
    return f"{subject} {moved} from {told(one.metric, mean)} to {told(one.metric, level)}"


def told(metric: str, level: float) -> str:
    """As people write it."""
    if metric == COST_PER_CALL:
        return f"${level:.3g}"
    if metric in (LATENCY, TTFT):
        return f"{level / 1000:.2f} s" if level >= 1000 else f"{level:.0f} ms"
    return percent(level, 1) if metric in BUILT_IN_METRICS or metric in LOWER_IS_BETTER else f"{level:.2f}"


def _is_severe(one: Watched) -> bool:
    if one.change is None or one.base is None or not one.change.since.n:
        return False
    return one.change.since.total / one.change.since.n > SEVERE * one.base.threshold

"""Fires when it is the judge that changed, and not the prompt: its own model, or its scores with nothing else.

Both arms of a rollout are judged by the same judge at the same time, so that a rollout's verdict, which compares them,
is not touched by it; the alert says so.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from observability.core.baselines import LEAST_NOW
from observability.models import AlertKind, JudgedBucket, Severity
from observability.selectors.baselines import DAY, Pair, Watched, cause_of
from observability.selectors.series import judged
from observability.services import alerts
from observability.watching.causes import DIMENSIONS, LikelyCause, likely_causes, of_judges

SAME_JUDGE = "Both arms of a rollout are judged by the same judge: its verdict is not touched."


def look(pair: Pair, metrics: Sequence[Watched], at: datetime) -> None:
    """Of one prompt and label: fire for each score of which the judge has changed, and resolve the others."""
    prompt, label = pair
    rows = [row for row in judged(prompt, at - DAY, at) if (row.label or "") == label and not row.is_canary]
    seen = set()
    for metric in {row.name for row in rows}:
        one = next((found for found in metrics if found.metric == metric), None)
        of_metric = [row for row in rows if row.name == metric]
        is_one = len({(row.evaluator, row.judge_model) for row in of_metric}) == 1
        changes = [] if is_one else [cause for _, cause in of_judges(pair, metric, _first_of_newest(of_metric))]
        left = one is not None and one.since is not None and (one.fires or one.state == "firing") and not one.recovered
        if changes and sum(row.n for row in of_metric) >= LEAST_NOW:
            seen.add(_fire(pair, metric, of_metric, one, changes))
        elif left and one is not None and one.since is not None and _nothing_of_the_prompt(pair, metric, one.since):
            seen.add(_fire(pair, metric, of_metric, one, []))
    for cause in alerts.open_causes(AlertKind.JUDGE_DRIFT, cause_of(AlertKind.JUDGE_DRIFT, pair, "")) - seen:
        alerts.resolve(cause=cause)


def resolve_all_but(pairs: Collection[Pair]) -> None:
    """Of prompts and labels that have no calls any more nobody would look."""
    kept = tuple(cause_of(AlertKind.JUDGE_DRIFT, pair, "") for pair in pairs)
    for cause in alerts.open_causes(AlertKind.JUDGE_DRIFT):
        if not cause.startswith(kept):
            alerts.resolve(cause=cause)


def _first_of_newest(rows: Sequence[JudgedBucket]) -> datetime:
    """When the judge that answers now first did, in the last day."""
    newest = max(rows, key=lambda row: row.starts_at)
    who = newest.evaluator, newest.judge_model
    return min(row.starts_at for row in rows if (row.evaluator, row.judge_model) == who)


def _nothing_of_the_prompt(pair: Pair, metric: str, since: datetime) -> bool:
    return not any(cause.kind in (*DIMENSIONS, "event") for cause in likely_causes(pair, metric, since))


def _fire(
    pair: Pair, metric: str, rows: Sequence[JudgedBucket], one: Watched | None, changes: Sequence[LikelyCause]
) -> str:
    prompt, label = pair
    cause = cause_of(AlertKind.JUDGE_DRIFT, pair, metric)
    evaluator = max(rows, key=lambda row: row.starts_at).evaluator or metric
    of = f"{prompt} ({label})" if label else prompt
    if changes:
        summary = f"The judge of {metric} of {of} has changed: {changes[0].text}"
    else:
        summary = f"Scores of {evaluator} for {of} left their baseline while nothing of the prompt changed"
    alerts.fire(
        kind=AlertKind.JUDGE_DRIFT,
        cause=cause,
        severity=Severity.WARNING,
        summary=summary,
        data={
            "metric": metric,
            "evaluator": evaluator,
            "judge_models": sorted({row.judge_model or "unknown" for row in rows}),
            "now": one.now if one else None,
            "n": one.n if one else 0,
            "baseline": one.mean if one else None,
            "threshold": one.threshold if one else None,
            "causes": [change.as_json() for change in changes],
            "note": SAME_JUDGE,
        },
        prompt=prompt,
        label=label,
    )
    return cause

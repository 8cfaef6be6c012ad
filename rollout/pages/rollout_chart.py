"""The evidence of harm against its limit over time, as a chart of a rollout's verdicts."""

import math
from collections.abc import Sequence
from datetime import datetime

from django.utils.safestring import SafeString

from rollout import wording
from rollout.charts import Line, Mark, evidence_chart
from rollout.core.plan import Plan
from rollout.evidence_over_time import Point
from rollout.formats import of_limit, plain, signed_log
from rollout.models import Rollout
from rollout.pages.rollout_ramp import Stay, bands

OVERALL = "all metrics"


def chart_of(rollout: Rollout, points: Sequence[Point], stays: Sequence[Stay], now: datetime) -> SafeString:
    """Without a point there is no chart. All evidence begins at an e-value of 1, when the rollout does."""
    if not points or rollout.started_at is None:
        return SafeString("")
    limit = -math.log(Plan.from_json(rollout.plan).alpha)
    return evidence_chart(
        _lines(rollout, rollout.started_at, points),
        limit=limit,
        limit_words=f"{'rolls back' if rollout.plan['auto_rollback'] else 'harm is found'} at {limit:.1f}",
        bands=bands(stays, max(points[-1].at, rollout.ended_at or points[-1].at)),
        mark=_end(rollout, now),
        title="Evidence of harm over time",
        description=_described(points, limit),
    )


def _lines(rollout: Rollout, since: datetime, points: Sequence[Point]) -> list[Line]:
    guilty = rollout.verdict.body["guilty"] if rollout.verdict else []
    names = points[-1].guardrails
    return [
        *(
            Line(
                name,
                [(since, 0.0), *((point.at, point.guardrails.get(name)) for point in points)],
                "guilty" if name in guilty else "plain",
            )
            for name in names
        ),
        Line(OVERALL, [(since, 0.0), *((point.at, point.log_e_harm) for point in points)], "all"),
    ]


def _end(rollout: Rollout, now: datetime) -> Mark | None:
    ended = rollout.ended_at
    if ended is None:
        return None
    day = "" if ended.date() == now.date() else f"{ended.day} {ended:%b} "
    words = f"{day}{ended:%H:%M}, {wording.state_of(rollout).words.lower()}"
    return Mark(ended, words, canary=True)


def _described(points: Sequence[Point], limit: float) -> str:
    """What is to be seen, for whoever does not see it."""
    last, highest = points[-1], max(points, key=lambda point: point.log_e_harm)
    guardrails = ", ".join(f"{name} {signed_log(log_e)}" for name, log_e in last.guardrails.items())
    return plain(
        f"Natural logarithms of e-values from {_told(points[0].at)} to {_told(last.at)}. Over all guardrails "
        f"{signed_log(last.log_e_harm)} at the end and {signed_log(highest.log_e_harm)} at the most "
        f"({_told(highest.at)}), against a limit of {signed_log(limit)}; that is an e-value of "
        f"{of_limit(last.log_e_harm, limit)}. At the end: {guardrails}."
    )


def _told(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"

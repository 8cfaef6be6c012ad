"""How did the evidence of harm come about? Some of a rollout's verdicts, evenly over its time, however many there are.

A verdict is read by where it stands in time: each found by one descent into the index `verdicts_by_time`, so that a
month of looks costs what a day of them does. Only those are read, with all that they say.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from rollout.models import Rollout, Verdict

MOST_POINTS = 240

# Of the times given, the verdict that was the newest then; each once, with those named beside. A join and no condition
# with OR, for which PostgreSQL would read the whole table.
IN_FORCE = """
SELECT verdict.id, verdict.found_at, verdict.body FROM (
    SELECT (
        SELECT id FROM rollout_verdict
        WHERE rollout_id = %s AND found_at <= asked.column1 ORDER BY found_at DESC LIMIT 1
    ) AS id FROM (VALUES {times}) AS asked
    UNION SELECT column1 FROM (VALUES {others}) AS named
) AS wanted JOIN rollout_verdict AS verdict ON verdict.id = wanted.id ORDER BY verdict.found_at, verdict.id
"""


@dataclass(frozen=True, slots=True)
class Point:
    """What a verdict said of harm, as natural logs of e-values: over all guardrails, and by the guardrail's name."""

    at: datetime
    log_e_harm: float
    guardrails: dict[str, float]


def evidence_over_time(rollout: Rollout, *, deciding: Collection[int] = ()) -> list[Point]:
    """At most about MOST_POINTS of the rollout's verdicts, the oldest first: the newest and the deciding among them."""
    if rollout.verdict is None or rollout.started_at is None:
        return []
    times = _evenly(rollout.started_at, rollout.verdict.found_at, rollout.plan["look_every_s"])
    verdicts = _in_force(rollout, times, {rollout.verdict.pk, *deciding})
    return [_point(verdict) for verdict in verdicts]


def _evenly(since: datetime, until: datetime, look_every_s: int) -> list[datetime]:
    """As far apart as a doubled and redoubled pace of looks: so they stay where they are while time goes on."""
    pace, span = max(look_every_s, 1), (until - since).total_seconds()
    while span / pace > MOST_POINTS:
        pace *= 2
    return [since + timedelta(seconds=pace * number) for number in range(1, int(span / pace) + 1)]


def _in_force(rollout: Rollout, times: Collection[datetime], others: Collection[int]) -> Iterable[Verdict]:
    if not times:
        return Verdict.objects.filter(pk__in=others).only("found_at", "body").order_by("found_at", "pk")
    adapt = connection.ops.adapt_datetimefield_value
    query = IN_FORCE.format(times=", ".join(["(%s)"] * len(times)), others=", ".join(["(%s)"] * len(others)))
    return Verdict.objects.raw(query, [rollout.pk, *(adapt(at) for at in times), *others])


def _point(verdict: Verdict) -> Point:
    body = verdict.body
    guardrails = {metric["name"]: metric["log_e_harm"] for metric in body["metrics"] if metric["role"] == "guardrail"}
    return Point(verdict.found_at, body["log_e_harm"], guardrails)

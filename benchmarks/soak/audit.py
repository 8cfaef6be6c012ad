"""Was anything lost or doubled? Asked of the database and of the receiver, when all has come to rest."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from benchmarks.soak.receiver import Receiver

ENDS = ("promoted", "rolled_back", "cancelled")
# Of a rollout and arm: observations in the closed batches of its error rate, and calls that there are.
EVIDENCE = """
    SELECT metric.rollout_id, arm, sum(bin.value::int) AS counted,
           (SELECT count(*) FROM observability_call AS call
            WHERE call.rollout = metric.rollout_id AND call.arm = arm.arm)
    FROM rollout_metric AS metric JOIN rollout_batch AS batch ON batch.metric_id = metric.id
    CROSS JOIN (VALUES ('control'), ('canary')) AS arm (arm)
    CROSS JOIN LATERAL jsonb_each_text(CASE arm WHEN 'control' THEN batch.control ELSE batch.canary END) AS bin
    WHERE metric.measure = 'error_rate' GROUP BY 1, 2"""


class Audit:
    """figures: for the page. losses: what must not be; none when all is well."""

    def __init__(self, database: str) -> None:
        self._connection = psycopg.connect(database, autocommit=True)
        self.figures: dict[str, Any] = {}
        self.losses: list[str] = []

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()

    def number(self, sql: str) -> int:
        return int(self.rows(sql)[0][0])

    def all_delivered(self) -> bool:
        return not self.number("SELECT count(*) FROM rollout_delivery WHERE status = 'pending'") and not self.number(
            "SELECT count(*) FROM registry_event WHERE sequence > (SELECT max(sequence) FROM rollout_fanout)"
        )

    def spans(self, acknowledged: Sequence[str]) -> None:
        stored = [row[0] for row in self.rows("SELECT encode(span_id, 'hex') FROM observability_span")]
        calls = [row[0] for row in self.rows("SELECT encode(span_id, 'hex') FROM observability_call")]
        self._same("spans", acknowledged, stored)
        self._same("calls", acknowledged, calls)

    def scores(self, acknowledged: Sequence[str]) -> None:
        self._same("scores", acknowledged, [row[0] for row in self.rows("SELECT key FROM observability_score")])
        if alone := self.number("SELECT count(*) FROM observability_score WHERE call_id IS NULL"):
            self.losses.append(f"{alone} scores have not found their call")

    def evidence(self) -> None:
        rows = self.rows(EVIDENCE)
        self.figures["calls in evidence"] = sum(row[2] for row in rows)
        self.losses += [f"{row[0]} {row[1]}: {row[2]} observed of {row[3]} calls" for row in rows if row[2] > row[3]]

    def rollouts(self) -> None:
        ended = dict(self.rows("SELECT status, count(*) FROM rollout_rollout GROUP BY 1"))
        self.figures |= {f"rollouts {status}": count for status, count in sorted(ended.items())}
        wrong = f"""
            SELECT rollout.id, count(transition.id) FROM rollout_rollout AS rollout LEFT JOIN rollout_transition
            AS transition ON transition.rollout_id = rollout.id AND transition.to_status IN {ENDS}
            GROUP BY 1 HAVING count(transition.id) <> 1"""
        self.losses += [f"{id_} has {count} terminal transitions" for id_, count in self.rows(wrong)]
        told = f"""
            SELECT transition.rollout_id, transition.action FROM rollout_transition AS transition
            WHERE transition.to_status IN {ENDS} AND 1 <> (
                SELECT count(*) FROM registry_event AS event WHERE event.type = 'rollout.' || transition.action
                AND event.data->'rollout'->>'id' = transition.rollout_id)"""
        self.losses += [f"{id_} was not told once as {action}" for id_, action in self.rows(told)]

    def events(self, receiver: Receiver, since: int) -> None:
        """since: the first sequence number that the receiver's endpoint must have been told."""
        events = dict(self.rows("SELECT sequence, id FROM registry_event ORDER BY sequence"))
        self.figures["events"] = len(events)
        if list(events) != list(range(1, len(events) + 1)):
            self.losses.append("the sequence of events has gaps")
        for sequence, id_ in events.items():
            if sequence >= since and (receiver.ids.get(sequence) != {id_} or not receiver.taken[id_]):
                self.losses.append(f"event {sequence} arrived as {receiver.ids.get(sequence)}, not as {id_}")
        if receiver.wrong_signatures:
            self.losses.append(f"{receiver.wrong_signatures} signatures were wrong")
        told = sum(receiver.taken.values())
        self.figures |= {"deliveries taken": told, "of them again": told - len(receiver.taken)}
        self.figures["deliveries refused once"] = len(receiver.refused)
        self.losses += [f"{n} deliveries are {s}" for s, n in self.rows(UNDELIVERED)]

    def _same(self, what: str, expected: Sequence[str], found: Sequence[str]) -> None:
        self.figures[what] = len(found)
        self.losses += [
            f"{len(ids)} {what} were {how}"
            for how, ids in (
                ("lost", set(expected) - set(found)),
                ("stored though never acknowledged to the end", set(found) - set(expected)),
                ("doubled", list(_doubled(found))),
            )
            if ids
        ]


UNDELIVERED = "SELECT status, count(*) FROM rollout_delivery WHERE status <> 'delivered' GROUP BY 1"


def _doubled(ids: Sequence[str]) -> Iterator[str]:
    seen: set[str] = set()
    for id_ in ids:
        if id_ in seen:
            yield id_
        seen.add(id_)

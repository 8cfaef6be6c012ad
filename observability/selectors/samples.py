"""A few calls of an arm of a rollout, to look into: the worst of the newest, and some at random."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from observability.models import Call, Score

LOOKED_AT = 500
"""Calls of the arm that the samples are taken from, the newest: so that a long rollout costs what a short one does."""
SHOWN = 5
OF_A_KIND = 2  # of the worst, before the slowest fill what is left


@dataclass(frozen=True, slots=True)
class Sample:
    """score: of the name that was asked for, None where the call has none."""

    trace_id: bytes
    failed: bool
    duration_ms: float | None
    score: float | None


@dataclass(frozen=True, slots=True)
class Samples:
    """worst: those that failed, those with the worst score, then the slowest. random: the same ones every time."""

    worst: list[Sample]
    random: list[Sample]


def samples(rollout_id: str, arm: str, *, score: str, higher_is_better: bool) -> Samples:
    """At most SHOWN of each, of as many traces. score: by whose values some are the worst."""
    newest = list(_newest(rollout_id, arm, score))
    return Samples(
        worst=_first_of_each_trace(_worst(newest, higher_is_better=higher_is_better)),
        random=_first_of_each_trace(sorted(newest, key=lambda sample: zlib.crc32(sample.trace_id))),
    )


def _newest(rollout_id: str, arm: str, score: str) -> Iterator[Sample]:
    calls = Call.objects.filter(rollout=rollout_id, arm=arm).order_by("-id")
    rows = list(calls.values_list("id", "trace_id", "error", "duration_ms")[:LOOKED_AT])
    of_calls = Score.objects.filter(call__in=[row[0] for row in rows], name=score, counts=True)
    values = dict(of_calls.order_by().values_list("call", "value"))
    for call_id, trace_id, failed, duration_ms in rows:
        yield Sample(bytes(trace_id), failed, duration_ms, values.get(call_id))


def _worst(newest: list[Sample], *, higher_is_better: bool) -> Iterable[Sample]:
    best = 1.0 if higher_is_better else 0.0
    failed = (sample for sample in newest if sample.failed)
    scored = [sample for sample in newest if sample.score is not None and sample.score != best]
    return chain(
        islice(failed, OF_A_KIND),
        islice(sorted(scored, key=_distance_to(best), reverse=True), OF_A_KIND),
        sorted(newest, key=lambda sample: sample.duration_ms or 0.0, reverse=True),
    )


def _distance_to(best: float) -> Callable[[Sample], float]:
    return lambda sample: abs((best if sample.score is None else sample.score) - best)


def _first_of_each_trace(ordered: Iterable[Sample]) -> list[Sample]:
    found: dict[bytes, Sample] = {}
    for sample in ordered:
        found.setdefault(sample.trace_id, sample)
        if len(found) == SHOWN:
            break
    return list(found.values())

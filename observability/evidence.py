"""The evidence that rollouts are judged on, as counters that any process may add to.

Writers add to open counters; the evaluator takes a batch by deleting them in the transaction that folds them. An
observation is in exactly one batch: a writer that commits late adds to the next one. Writers and takers lock counters
in the same order, so they cannot deadlock: one rollout at a time, its steps and metrics ascending.

How many rows a rollout has does not depend on its number of calls. Open counters: steps x measures x arms x bins seen
x SHARDS at most, and what the evaluator takes is gone. Unit buckets: steps x measures x arms x 256 x SHARDS at most.
Costs: arms x SHARDS; these are exact, and count the warm-up too, which costs as much as what comes after it.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model, Q, QuerySet, Sum

from observability import bulk
from observability.core.evidence import (
    ARMS,
    BY_EXPOSURE_ALONE,
    MOST_PICODOLLARS,
    NO_COSTS,
    NO_SUMS,
    BinKey,
    CostKey,
    CostSums,
    Exposure,
    Observation,
    UnitKey,
    UnitSums,
    count_bins,
    sum_costs,
    sum_units,
)
from observability.models import ArmCost, Evidence, UnitBucket

__all__ = [
    "CostSums",
    "Exposure",
    "Observation",
    "UnitBuckets",
    "UnitSums",
    "add",
    "costs",
    "discard",
    "drop",
    "open_counts",
    "rollout_ids",
    "take",
    "unit_buckets",
]

Row = TypeVar("Row", bound=Model)
UnitBuckets = dict[tuple[int, str], dict[str, dict[int, UnitSums]]]  # (step, measure) → arm → bucket → sums

SHARDS = 8
MOST_IDS = 10_000  # in one statement
ADD_TO_BIN = f"({', '.join(BinKey._fields)}, shard) DO UPDATE SET n = observability_evidence.n + excluded.n"
ADD_TO_UNIT_BUCKET = (
    f"({', '.join(UnitKey._fields)}, shard) DO UPDATE SET n = observability_unitbucket.n + excluded.n,"
    " total = observability_unitbucket.total + excluded.total,"
    " squares = observability_unitbucket.squares + excluded.squares"
)
ADD_TO_COST = (
    f"({', '.join(CostKey._fields)}, shard) DO UPDATE SET calls = observability_armcost.calls + excluded.calls,"
    " priced = observability_armcost.priced + excluded.priced,"
    " picodollars = {least}(observability_armcost.picodollars + excluded.picodollars, {most})"
)


def add(observations: Iterable[Observation]) -> None:
    """Add to the counters, in the caller's transaction; all that a transaction adds belongs into one call."""
    observations = list(observations)
    if not observations:
        return
    shard = threading.get_native_id() % SHARDS
    bins = [(*key, shard, n) for key, n in sorted(count_bins(observations).items())]
    bulk.upsert(Evidence, [*BinKey._fields, "shard", "n"], bins, on_conflict=ADD_TO_BIN)
    units = [(*key, shard, *sums) for key, sums in sorted(sum_units(observations).items())]
    columns = [*UnitKey._fields, "shard", *UnitSums._fields]
    bulk.upsert(UnitBucket, columns, units, on_conflict=ADD_TO_UNIT_BUCKET)
    costs_of_arms = [(*key, shard, *sums) for key, sums in sorted(sum_costs(observations).items())]
    columns = [*CostKey._fields, "shard", *CostSums._fields]
    add_up = ADD_TO_COST.format(least="LEAST" if connection.vendor == "postgresql" else "MIN", most=MOST_PICODOLLARS)
    bulk.upsert(ArmCost, columns, costs_of_arms, on_conflict=add_up)


def open_counts(rollout_id: str, versions: Mapping[str, int]) -> dict[tuple[int, str], dict[str, int]]:
    """(step, metric) → how many observations of each arm are open. versions: arm → id of the version it serves."""
    rows = _of(Evidence.objects.all(), rollout_id, versions).values_list("step", "metric", "arm")
    counts: dict[tuple[int, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(ARMS, 0))
    for step, metric, arm, n in rows.annotate(Sum("n")).order_by("step", "metric"):
        counts[step, metric][arm] = n
    return dict(counts)


def take(*, rollout_id: str, step: int, metric: str, versions: Mapping[str, int]) -> dict[str, dict[int, int]]:
    """Arm → bin → n of the open observations, which are deleted with the caller's transaction.

    Only what names the version its arm serves, or no version at all, is taken; the rest stays where it is.
    """
    open_rows = _of(Evidence.objects.all(), rollout_id, versions).filter(step=step, metric=metric)
    taken: dict[str, dict[int, int]] = {arm: defaultdict(int) for arm in ARMS}
    for arm, bin_, n in _delete(open_rows, BinKey._fields, "arm", "bin", "n"):
        taken[arm][bin_] += n
    return {arm: dict(bins) for arm, bins in taken.items()}


def unit_buckets(rollout_id: str, versions: Mapping[str, int]) -> UnitBuckets:
    """The sums of each unit bucket 0..255, over the rollout's whole life; taking leaves these as they are."""
    # By version too, as the index is ordered: SQLite then needs no sorting, which takes as long as all the rest.
    rows = _of(UnitBucket.objects.all(), rollout_id, versions).values_list(*UnitKey._fields[1:])
    buckets: UnitBuckets = defaultdict(lambda: {arm: {} for arm in ARMS})
    for step, metric, arm, _, bucket, *sums in rows.annotate(Sum("n"), Sum("total"), Sum("squares")).order_by():
        of_arm = buckets[step, metric][arm]
        n, total, squares = of_arm.get(bucket, NO_SUMS)
        of_arm[bucket] = UnitSums(n + int(sums[0]), total + int(sums[1]), squares + int(sums[2]))
    return dict(buckets)


def costs(rollout_id: str, versions: Mapping[str, int]) -> dict[str, CostSums]:
    """What each arm's calls cost since the rollout's start. versions: as of open_counts."""
    found = dict.fromkeys(ARMS, NO_COSTS)
    rows = _of(ArmCost.objects.all(), rollout_id, versions).values_list("arm", *CostSums._fields)
    for arm, calls, priced, picodollars in rows:  # added up here: the sum may be more than SQLite adds
        of_arm = found[arm]
        found[arm] = CostSums(of_arm.calls + calls, of_arm.priced + priced, of_arm.picodollars + picodollars)
    return found


def rollout_ids() -> set[str]:
    """Every rollout that any evidence names, whether there is such a rollout or not."""
    return {*_named(Evidence.objects.all()), *_named(UnitBucket.objects.all()), *_named(ArmCost.objects.all())}


def drop(rollout_id: str) -> None:
    """Delete all evidence of a rollout that goes on, in the caller's transaction: what comes later is as if first.

    Its costs stay.
    """
    _delete(Evidence.objects.filter(rollout=rollout_id), BinKey._fields)
    _delete(UnitBucket.objects.filter(rollout=rollout_id), UnitKey._fields)


def discard(rollout_id: str) -> None:
    """Delete all evidence that names the rollout, in the caller's transaction.

    What a writer holds at this moment is passed over instead of waited for: the caller may hold counters that this
    writer waits for.
    """
    _delete(Evidence.objects.filter(rollout=rollout_id), BinKey._fields, skip_locked=True)
    _delete(UnitBucket.objects.filter(rollout=rollout_id), UnitKey._fields, skip_locked=True)
    _delete(ArmCost.objects.filter(rollout=rollout_id), CostKey._fields, skip_locked=True)


def _named(rows: QuerySet[Row]) -> QuerySet[Row, str]:
    return rows.order_by().values_list("rollout", flat=True).distinct()


def _of(rows: QuerySet[Row], rollout_id: str, versions: Mapping[str, int]) -> QuerySet[Row]:
    right_version = Q(pk__in=[])
    for arm, version_id in versions.items():
        right_version |= Q(arm=arm, version_id__in=[version_id, BY_EXPOSURE_ALONE])
    return rows.filter(right_version, rollout=rollout_id)


def _delete(
    rows: QuerySet[Row], order: Sequence[str], *columns: str, skip_locked: bool = False
) -> list[tuple[Any, ...]]:
    """Delete the rows and answer with their columns as they were then.

    Locked first, in the writers' order: a waiting writer has then either added to a row before it is read here, or
    finds it gone and starts a new one. Rows that appear in between are not touched.
    """
    in_order = rows.select_for_update(skip_locked=skip_locked).order_by(*order, "shard")
    locked = list(in_order.values_list("id", *columns))
    for start in range(0, len(locked), MOST_IDS):
        rows.model._default_manager.filter(id__in=[row[0] for row in locked[start : start + MOST_IDS]]).delete()
    return [row[1:] for row in locked]

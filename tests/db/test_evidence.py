"""The counters that rollouts are judged on: added by many writers at once, taken by the evaluator in batches."""

import threading
from collections import Counter

import pytest
from django.db import transaction

from observability import evidence
from observability.core.evidence import Exposure, Observation, UnitSums
from observability.models import Evidence, UnitBucket
from tests import parallel

ROLLOUT = "rol_06b3t2k9w0x4y8z1c5d7"
VERSIONS = {"control": 7, "canary": 8}

pytestmark = pytest.mark.django_db


def observation(arm: str = "control", bin_: int = 0, *, count: int = 1, **changes: object) -> Observation:
    """An observation of error_rate by the version its arm serves, in step 0, of unit bucket 17."""
    fields = {"step": 0, "unit_bucket": 17, "metric": "error_rate", "version_id": VERSIONS[arm]} | changes
    exposure = Exposure(ROLLOUT, fields["step"], arm, fields["unit_bucket"])  # type: ignore[arg-type]
    return Observation(exposure, fields["version_id"], str(fields["metric"]), bin_, count)  # type: ignore[arg-type]


def take(metric: str = "error_rate", step: int = 0) -> dict[str, dict[int, int]]:
    with transaction.atomic():
        return evidence.take(rollout_id=ROLLOUT, step=step, metric=metric, versions=VERSIONS)


def test_take__what_was_added__by_arm_and_bin_and_only_once() -> None:
    evidence.add([observation("control", 0, count=3), observation("control", 1000), observation("canary", 0)])
    evidence.add([observation("control", 0, count=2)])

    first, second = take(), take()

    assert first == {"control": {0: 5, 1000: 1}, "canary": {0: 1}}
    assert second == {"control": {}, "canary": {}}


def test_take__other_steps_and_metrics__stay() -> None:
    evidence.add([observation(), observation(step=1), observation(metric="hallucination", bin_=1000)])

    take()

    assert take(step=1)["control"] == {0: 1}
    assert take("hallucination")["control"] == {1000: 1}


def test_take__version_that_the_arm_does_not_serve__does_not_count_and_stays() -> None:
    evidence.add([observation(version_id=99), observation(), observation(version_id=0, bin_=500)])

    taken = take()

    assert taken["control"] == {0: 1, 500: 1}
    assert list(Evidence.objects.values_list("version_id", "n")) == [(99, 1)]


def test_take__transaction_rolled_back__nothing_is_lost() -> None:
    evidence.add([observation()])

    with transaction.atomic():
        evidence.take(rollout_id=ROLLOUT, step=0, metric="error_rate", versions=VERSIONS)
        transaction.set_rollback(True)

    assert take()["control"] == {0: 1}


def test_open_counts__by_step_metric_and_arm() -> None:
    evidence.add([observation(count=2), observation("canary", step=1), observation(version_id=99)])

    counts = evidence.open_counts(ROLLOUT, VERSIONS)

    assert counts == {
        (0, "error_rate"): {"control": 2, "canary": 0},
        (1, "error_rate"): {"control": 0, "canary": 1},
    }


def test_unit_buckets__outlive_the_taking() -> None:
    evidence.add([observation(unit_bucket=3, count=2), observation("canary", 1000, unit_bucket=255)])
    take()
    evidence.add([observation(unit_bucket=3, bin_=1000), observation(unit_bucket=4, version_id=99)])

    buckets = evidence.unit_buckets(ROLLOUT, VERSIONS)

    of_control, of_canary = {3: UnitSums(3, 1000, 1_000_000)}, {255: UnitSums(1, 1000, 1_000_000)}
    assert buckets == {(0, "error_rate"): {"control": of_control, "canary": of_canary}}


def test_unit_buckets__several_shards_and_no_version__one_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    for shard in range(3):
        monkeypatch.setattr(threading, "get_native_id", lambda shard=shard: shard)
        evidence.add([observation(metric="latency", bin_=4000, count=2, version_id=VERSIONS["control"] * (shard > 0))])

    buckets = evidence.unit_buckets(ROLLOUT, VERSIONS)

    assert UnitBucket.objects.count() == 3
    assert buckets == {(0, "latency"): {"control": {17: UnitSums(6, 24_000, 96_000_000)}, "canary": {}}}


def test_add__ten_times_the_calls_of_the_same_values__as_many_rows() -> None:
    bins, measures = (0, 700, 1400), ("latency", "tokens", "cost_per_call")
    calls = [
        observation(arm, bin_, step=step, metric=measure, unit_bucket=unit_bucket)
        for arm in VERSIONS
        for step in range(2)
        for measure in measures
        for bin_ in bins
        for unit_bucket in range(0, 256, 16)
    ]

    evidence.add(calls)
    rows = Evidence.objects.count(), UnitBucket.objects.count()
    for _ in range(9):
        evidence.add(calls)

    assert rows == (2 * 3 * 2 * 3, 2 * 3 * 2 * 16)  # steps, measures, arms; bins or unit buckets; this thread's shard
    assert (Evidence.objects.count(), UnitBucket.objects.count()) == rows
    assert sum(Evidence.objects.values_list("n", flat=True)) == 10 * len(calls)


def test_discard__this_rollout_only() -> None:
    other = Observation(Exposure("rol_other", 0, "control", 1), 7, "error_rate", 0)
    evidence.add([observation(), observation("canary", step=2, version_id=99), other])

    with transaction.atomic():
        evidence.discard(ROLLOUT)

    assert set(Evidence.objects.values_list("rollout", flat=True)) == {"rol_other"}
    assert set(UnitBucket.objects.values_list("rollout", flat=True)) == {"rol_other"}


@pytest.mark.django_db(transaction=True)
def test_take__while_writers_add__every_observation_in_exactly_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "SHARDS", 1)  # so that all writers meet on the same counters
    metrics, bins = ("error_rate", "hallucination"), (0, 500, 1000)
    batches: Counter[tuple[str, str, int]] = Counter()
    written = threading.Event()

    def write() -> None:
        for unit_bucket in range(8):
            with transaction.atomic():
                evidence.add(
                    observation(arm, bin_, metric=metric, unit_bucket=unit_bucket)
                    for metric in metrics
                    for arm in VERSIONS
                    for bin_ in bins
                )

    def take_batches() -> None:
        while not written.wait(
            0.005
        ):  # SQLite is not fair: a taker without a pause would keep its lock from all others
            collect()

    def collect() -> None:
        with transaction.atomic():
            taken = [(metric, arm, found) for metric in metrics for arm, found in untaken(metric).items()]
        batches.update({(metric, arm, bin_): n for metric, arm, found in taken for bin_, n in found.items()})

    def untaken(metric: str) -> dict[str, dict[int, int]]:
        return evidence.take(rollout_id=ROLLOUT, step=0, metric=metric, versions=VERSIONS)

    taker = parallel.start(take_batches)
    for writer in [parallel.start(write) for _ in range(3)]:
        writer.result(timeout=60)
    written.set()
    taker.result(timeout=60)
    collect()

    assert batches == {(metric, arm, bin_): 3 * 8 for metric in metrics for arm in VERSIONS for bin_ in bins}
    assert not Evidence.objects.exists()

"""Evidence: the counters that rollouts are judged on."""

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from observability.core.evidence import ARMS


class Counted(models.Model):
    """What evidence is counted by. version_id: 0 for a score given by exposure alone. shard: of the writing process,
    so that processes do not wait for each other's counters."""

    rollout = models.CharField(max_length=30)
    step = models.PositiveSmallIntegerField()
    metric = models.CharField(max_length=100)
    arm = models.CharField(max_length=7)
    version_id = models.BigIntegerField()
    shard = models.PositiveSmallIntegerField()

    class Meta:
        abstract = True


class Evidence(Counted):
    """An open counter: how many observations fell into a bin since the evaluator last took them."""

    bin = models.PositiveSmallIntegerField()
    n = models.PositiveBigIntegerField()

    class Meta:
        verbose_name_plural = "evidence"
        constraints = [
            UniqueConstraint(
                fields=["rollout", "step", "metric", "arm", "version_id", "bin", "shard"],
                name="one_open_counter_per_bin_and_shard",
            ),
            CheckConstraint(condition=Q(arm__in=ARMS), name="evidence_is_of_control_or_canary"),
        ]

    def __str__(self) -> str:
        return f"{self.rollout} {self.step} {self.metric} {self.arm} {self.bin}: {self.n}"


class UnitBucket(Counted):
    """Sums over a rollout's whole life for one bucket of its units: observations, their bins, the bins' squares."""

    bucket = models.PositiveSmallIntegerField()
    n = models.PositiveBigIntegerField()
    total = models.PositiveBigIntegerField()
    squares = models.PositiveBigIntegerField(db_default=0)

    class Meta:
        constraints = [
            UniqueConstraint(
                fields=["rollout", "step", "metric", "arm", "version_id", "bucket", "shard"],
                name="one_sum_per_unit_bucket_and_shard",
            ),
            CheckConstraint(condition=Q(arm__in=ARMS), name="unit_buckets_are_of_control_or_canary"),
            CheckConstraint(condition=Q(bucket__lte=255), name="unit_bucket_between_0_and_255"),
        ]

    def __str__(self) -> str:
        return f"{self.rollout} {self.step} {self.metric} {self.arm} {self.bucket}: {self.n}"


class ArmCost(models.Model):
    """What the calls of a rollout's arm cost over its whole life, its warm-up too, whatever was taken of the evidence.

    calls: all; priced: those whose cost is known; picodollars: what these cost, 1e-12 USD. shard: as of evidence.
    """

    rollout = models.CharField(max_length=30)
    arm = models.CharField(max_length=7)
    version_id = models.BigIntegerField()
    shard = models.PositiveSmallIntegerField()
    calls = models.PositiveBigIntegerField()
    priced = models.PositiveBigIntegerField()
    picodollars = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["rollout", "arm", "version_id", "shard"], name="one_cost_per_arm_and_shard"),
            CheckConstraint(condition=Q(arm__in=ARMS), name="costs_are_of_control_or_canary"),
        ]

    def __str__(self) -> str:
        return f"{self.rollout} {self.arm}: {self.picodollars}"

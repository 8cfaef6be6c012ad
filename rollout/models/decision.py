"""What a rollout is judged on: the closed batches, each metric's state, and the verdicts."""

from django.db import models
from django.db.models import UniqueConstraint

from rollout.models.rollouts import Rollout


class Metric(models.Model):
    """A metric of a rollout.

    measure: what it is about. declared: as the plan has it, its margin resolved. baseline: observations of the control
    version in the seven days before the start, by bin; of a cost or a latency also the first of the rollout, when
    those were too few. frozen: everything else that is fixed before the first observation counts, and state: of its
    e-processes after `batches` batches (core.stats.metric); both are null until the first batch.
    """

    rollout = models.ForeignKey(Rollout, on_delete=models.PROTECT, related_name="metrics")
    name = models.CharField(max_length=100)
    measure = models.CharField(max_length=100)
    declared = models.JSONField()
    baseline = models.JSONField(default=dict)
    frozen = models.JSONField(null=True)
    state = models.JSONField(null=True)
    batches = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        constraints = [UniqueConstraint(fields=["rollout", "name"], name="one_metric_of_a_name_per_rollout")]

    def __str__(self) -> str:
        return f"{self.rollout_id} {self.name}"


class Batch(models.Model):
    """A closed batch of a metric: what arrived in both arms, from which its e-values follow to the last bit.

    control, canary: observations by bin, `{"<bin>": count}` (observability.core.evidence). design_effect: of all the
    metric's calls up to then, by which its evidence is divided (core.stats.design_effect).
    """

    metric = models.ForeignKey(Metric, on_delete=models.PROTECT, related_name="closed_batches")
    number = models.PositiveIntegerField()
    step = models.PositiveSmallIntegerField()
    closed_at = models.DateTimeField()
    control = models.JSONField()
    canary = models.JSONField()
    design_effect = models.FloatField(default=1)

    class Meta:
        ordering = ["metric", "number"]
        constraints = [UniqueConstraint(fields=["metric", "number"], name="each_batch_is_closed_once")]

    def __str__(self) -> str:
        return f"{self.metric} batch {self.number}"


class Verdict(models.Model):
    """What one look found. body: the verdict as the API answers it, with all numbers behind it."""

    rollout = models.ForeignKey(Rollout, on_delete=models.PROTECT, related_name="verdicts")
    kind = models.CharField(max_length=12)
    step = models.PositiveSmallIntegerField()
    found_at = models.DateTimeField()
    body = models.JSONField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["rollout", "found_at"], name="verdicts_by_time")]

    def __str__(self) -> str:
        return f"{self.rollout_id} {self.kind}"


class Outlook(models.Model):
    """How many calls of the canary an active rollout needs before it is proven safe, as the evaluator foresees it.

    Not evidence, and nothing is decided by it. canary_calls: that prove the last guardrail, all since the start, in the
    median, if the canary is as good as the control; null for hardly ever. metric: that guardrail. calls_per_s: of both
    arms in the last day.
    """

    rollout = models.OneToOneField(Rollout, on_delete=models.PROTECT, primary_key=True, related_name="outlook")
    foreseen_at = models.DateTimeField()
    canary_calls = models.PositiveBigIntegerField(null=True)
    metric = models.CharField(max_length=100)
    calls_per_s = models.FloatField()

    def __str__(self) -> str:
        return f"{self.rollout_id} {self.canary_calls}"

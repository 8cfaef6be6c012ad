"""The series: what the calls of five minutes came to, kept for some days, so that whoever watches reads few rows.

A bucket's rows are computed whole from its calls and replaced whole; observability.watching.series is all that writes
them.
"""

from django.db import models
from django.db.models import CheckConstraint, Q

from observability.models.rollups import VersionFigures


class FiguresBucket(VersionFigures):
    """Of the LLM calls that started in five minutes. The scores are only those of calls that were chosen by design.

    model: that answered, or else that was asked for. is_canary: of a rollout's canary arm. cost: bins of 1 % of what a
    call cost, and the calls of each, as two lists. checked: calls whose output was checked; valid: of these.
    """

    starts_at = models.DateTimeField()
    provider = models.CharField(max_length=200, null=True)
    model = models.CharField(max_length=200, null=True)
    is_canary = models.BooleanField()
    cost = models.JSONField()
    checked = models.PositiveBigIntegerField()
    valid = models.PositiveBigIntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["starts_at"], name="figures_buckets_by_start"),
            models.Index(fields=["prompt_name", "starts_at"], name="figures_buckets_by_prompt"),
        ]

    def __str__(self) -> str:
        return f"{self.prompt_name} {self.starts_at:%Y-%m-%dT%H:%M}: {self.calls}"


class JudgedBucket(models.Model):
    """The scores that one evaluator gave, by one model of a judge, to calls that started in five minutes and were
    chosen by design. Of the evaluations of ours alone.

    evaluator: as scores name it, `faithfulness@3`. judge_model: that the judge says it is. name: of the scores.
    """

    starts_at = models.DateTimeField()
    prompt_name = models.CharField(max_length=200, null=True)
    label = models.CharField(max_length=200, null=True)
    is_canary = models.BooleanField()
    name = models.CharField(max_length=100)
    evaluator = models.CharField(max_length=200, null=True)
    judge_model = models.CharField(max_length=200, null=True)
    n = models.PositiveBigIntegerField()
    total = models.FloatField()
    squares = models.FloatField()

    class Meta:
        indexes = [
            models.Index(fields=["starts_at"], name="judged_buckets_by_start"),
            models.Index(fields=["prompt_name", "starts_at"], name="judged_buckets_by_prompt"),
        ]

    def __str__(self) -> str:
        return f"{self.evaluator} {self.starts_at:%Y-%m-%dT%H:%M}: {self.n}"


class MetricBucket(models.Model):
    """What one metric of a prompt under a label came to in five minutes, canaries apart: what baselines are computed
    from, in one row where FiguresBucket may have many.

    label: empty where calls name none. block: which six hours since 1970. n, total, squares: as people know the metric,
    times in milliseconds.
    """

    starts_at = models.DateTimeField()
    prompt_name = models.CharField(max_length=200)
    label = models.CharField(max_length=200, blank=True)
    metric = models.CharField(max_length=100)
    block = models.PositiveIntegerField()
    n = models.PositiveBigIntegerField()
    total = models.FloatField()
    squares = models.FloatField()

    class Meta:
        indexes = [
            models.Index(fields=["starts_at"], name="metric_buckets_by_start"),
            models.Index(fields=["prompt_name", "label", "starts_at"], name="metric_buckets_by_prompt"),
        ]

    def __str__(self) -> str:
        return f"{self.prompt_name} {self.label} {self.metric} {self.starts_at:%Y-%m-%dT%H:%M}: {self.n}"


class SeriesState(models.Model):
    """One row: the buckets before settled_until are final but for marks (StaleBucket). revision: how often rows were
    replaced, so that of two workers who computed at once the later one finds that its answer is old."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    settled_until = models.DateTimeField(null=True)
    revision = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [CheckConstraint(condition=Q(id=1), name="there_is_one_state_of_the_series")]

    def __str__(self) -> str:
        return f"settled until {self.settled_until}"


class StaleBucket(models.Model):
    """A mark that calls of five minutes have changed since these were final. Any number of them: whoever makes one
    waits for nobody, and who computes the bucket deletes exactly those that it saw before it read the calls."""

    starts_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%dT%H:%M}"


class Watch(models.Model):
    """One row: who watches now. leased_until: by somebody, until then at the latest. begin_with: the check that did
    not get its turn the last time, so that no slow one keeps another from it for good."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    leased_until = models.DateTimeField(null=True)
    begin_with = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        constraints = [CheckConstraint(condition=Q(id=1), name="there_is_one_watch")]

    def __str__(self) -> str:
        return f"watched until {self.leased_until}"

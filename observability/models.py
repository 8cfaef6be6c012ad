"""What happened: spans, the calls among them, scores about calls, and the evidence that rollouts are judged on.

A rollout is known here only by the plain values of an exposure, never by a foreign key: what happened outlives it.
"""

from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

from observability.core.calls import EMBEDDINGS
from observability.core.evidence import ARMS, Exposure
from observability.core.prices import GENAI_PRICES, REPORTED
from registry.models import PromptVersion


class Span(models.Model):
    """A span once, however often it was sent. duration_ns: null where the clock was set back."""

    trace_id = models.BinaryField(max_length=16)
    span_id = models.BinaryField(max_length=8)
    parent_id = models.BinaryField(max_length=8, null=True)
    name = models.CharField(max_length=200)
    scope = models.CharField(max_length=200)
    started_ns = models.BigIntegerField()
    duration_ns = models.BigIntegerField(null=True)
    status = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["trace_id", "span_id"], name="each_span_is_stored_once"),
            CheckConstraint(
                condition=Q(duration_ns__isnull=True) | Q(duration_ns__gte=0), name="a_span_ends_after_its_start"
            ),
            CheckConstraint(condition=Q(status__lte=2), name="span_status_is_unset_ok_or_error"),
        ]

    def __str__(self) -> str:
        return self.name


class CostSource(models.TextChoices):
    REPORTED = REPORTED
    GENAI_PRICES = GENAI_PRICES


class Call(models.Model):
    """One LLM or embedding call. What the client did not say is null.

    prompt_name, version_text: as sent; version: what they name, null when no such version exists. user_hash: keyed
    (observability.privacy). rollout, step, arm, unit_bucket: of the exposure, all or none. output_valid: whether the
    output followed the version's response schema, null where there was none or it was not checked.
    """

    trace_id = models.BinaryField(max_length=16)
    span_id = models.BinaryField(max_length=8)
    response_id = models.CharField(max_length=200, null=True)
    prompt_name = models.CharField(max_length=200, null=True)
    version_text = models.CharField(max_length=200, null=True)
    version = models.ForeignKey(
        PromptVersion, null=True, on_delete=models.PROTECT, related_name="calls", db_index=False
    )
    rollout = models.CharField(max_length=30, null=True)
    step = models.PositiveSmallIntegerField(null=True)
    arm = models.CharField(max_length=7, null=True)
    unit_bucket = models.PositiveSmallIntegerField(null=True)
    operation = models.CharField(max_length=200)
    provider = models.CharField(max_length=200, null=True)
    request_model = models.CharField(max_length=200, null=True)
    response_model = models.CharField(max_length=200, null=True)
    stream = models.BooleanField(null=True)
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    cached_tokens = models.PositiveIntegerField(null=True)
    reasoning_tokens = models.PositiveIntegerField(null=True)
    ttft_ms = models.FloatField(null=True)
    inter_token_ms = models.FloatField(null=True)
    duration_ms = models.FloatField(null=True)
    cost_usd = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    cost_source = models.CharField(max_length=12, null=True, choices=CostSource)
    finish_reason = models.CharField(max_length=200, null=True)
    error = models.BooleanField()
    error_class = models.CharField(max_length=10, null=True)
    output_valid = models.BooleanField(null=True)
    user_hash = models.CharField(max_length=64, null=True)
    session = models.CharField(max_length=200, null=True)
    feature = models.CharField(max_length=200, null=True)
    environment = models.CharField(max_length=200, null=True)
    started_at = models.DateTimeField()

    class Meta:
        ordering = ["-started_at", "-id"]
        indexes = [
            models.Index(fields=["span_id"], name="calls_by_span"),
            models.Index(fields=["response_id"], name="calls_by_response", condition=Q(response_id__isnull=False)),
            models.Index(fields=["started_at"], name="calls_by_time"),
            models.Index(
                fields=["prompt_name", "started_at"], name="calls_by_prompt", condition=Q(prompt_name__isnull=False)
            ),
            models.Index(fields=["rollout", "arm", "id"], name="calls_by_rollout", condition=Q(rollout__isnull=False)),
        ]
        constraints = [
            UniqueConstraint(fields=["trace_id", "span_id"], name="one_call_per_span"),
            CheckConstraint(
                condition=Q(rollout__isnull=True, step__isnull=True, arm__isnull=True, unit_bucket__isnull=True)
                | Q(rollout__isnull=False, step__isnull=False, arm__in=ARMS, unit_bucket__lte=255),
                name="an_exposure_is_whole_or_absent",
            ),
            CheckConstraint(
                condition=Q(ttft_ms__isnull=True) | Q(ttft_ms__gt=0, ttft_ms__lte=F("duration_ms")),
                name="the_first_token_comes_within_the_call",
            ),
            CheckConstraint(
                condition=Q(cost_usd__isnull=True, cost_source__isnull=True)
                | Q(
                    cost_usd__isnull=False,
                    cost_usd__gte=0,
                    cost_source__isnull=False,
                    cost_source__in=CostSource.values,
                ),
                name="a_cost_tells_its_source",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {bytes(self.span_id).hex()}"

    @property
    def exposure(self) -> Exposure | None:
        if self.rollout is None or self.step is None or self.arm is None or self.unit_bucket is None:
            return None
        return Exposure(self.rollout, self.step, self.arm, self.unit_bucket)

    @property
    def version_number(self) -> str | None:
        """The version as people write it, or as the client sent it where no such version exists."""
        return self.version.number if self.version else self.version_text

    @property
    def is_llm_call(self) -> bool:
        return self.operation != EMBEDDINGS


class ScoreSource(models.TextChoices):
    JUDGE = "judge"
    CHECK = "check"
    USER = "user"
    HUMAN = "human"


class Score(models.Model):
    """One quality number about a call.

    key: the client's id of it, or one of ours. target: what it was said to be about (core.scores). waiting: its call
    has not arrived. recheck: waiting, and its call may be arriving in a transaction that could not see it. counts:
    the first of its name for its call, the only one that is evidence.
    """

    key = models.CharField(max_length=200)
    target = models.CharField(max_length=220)
    call = models.ForeignKey(Call, null=True, on_delete=models.CASCADE, related_name="scores")
    waiting = models.BooleanField()
    recheck = models.BooleanField()
    counts = models.BooleanField()
    name = models.CharField(max_length=100)
    value = models.FloatField()
    label = models.CharField(max_length=200, null=True)
    comment = models.TextField(null=True)
    source = models.CharField(max_length=5, choices=ScoreSource)
    evaluator = models.CharField(max_length=200, null=True)
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["target"], name="scores_waiting_for_a_call", condition=Q(waiting=True)),
            models.Index(fields=["id"], name="scores_to_look_at_again", condition=Q(recheck=True)),
        ]
        constraints = [
            UniqueConstraint(fields=["key"], name="each_score_is_recorded_once"),
            UniqueConstraint(
                fields=["call", "name"], condition=Q(counts=True), name="one_score_of_a_name_counts_per_call"
            ),
            CheckConstraint(condition=Q(value__gte=0, value__lte=1), name="score_value_between_0_and_1"),
            CheckConstraint(condition=Q(source__in=ScoreSource.values), name="score_source_is_known"),
            CheckConstraint(condition=Q(waiting=False) | Q(call__isnull=True), name="a_joined_score_does_not_wait"),
            CheckConstraint(condition=Q(recheck=False) | Q(waiting=True), name="only_a_waiting_score_is_rechecked"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.value}"


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

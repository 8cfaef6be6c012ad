"""Calls: the LLM and embedding calls among the spans."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

from observability.core.evidence import ARMS, Exposure
from observability.core.prices import GENAI_PRICES, OVERRIDE, REPORTED
from observability.core.times import EPOCH
from observability.models.spans import Span
from registry.models import PromptVersion

PLACES_PER_HOUR = 2**40


def first_place(at: datetime) -> int:
    """The least place of a call that started in the hour of that time, or later."""
    return (at - EPOCH) // timedelta(hours=1) * PLACES_PER_HOUR


class CallQuerySet(models.QuerySet["Call"]):
    def since(self, at: datetime) -> Self:
        """Calls that started then or later."""
        return self.filter(place__gte=first_place(at), started_at__gte=at)

    def before(self, at: datetime) -> Self:
        """Calls that started earlier."""
        return self.filter(place__lt=first_place(at + timedelta(hours=1)), started_at__lt=at)

    def of_trace(self, trace_id: bytes) -> Self:
        """Calls of which any span is in the trace."""
        return self._told_by(Q(trace_id=trace_id))

    def of_span(self, trace_id: bytes, span_id: bytes) -> Self:
        """The call that the span tells of, if it tells of one."""
        return self._told_by(Q(trace_id=trace_id, span_id=span_id))

    def _told_by(self, spans: Q) -> Self:
        standing = Span.objects.filter(spans).order_by().values("pk")
        return self.filter(pk__in=standing.union(OtherSpan.objects.filter(spans).order_by().values("call")))


class CostSource(models.TextChoices):
    REPORTED = REPORTED
    GENAI_PRICES = GENAI_PRICES
    OVERRIDE = OVERRIDE


class Call(models.Model):
    """One LLM or embedding call, however many spans tell of it. What no client said is null.

    id: that of the span that stands for it (Span), whose trace_id, span_id and scope it has; OtherSpan has the others.
    prompt_name, version_text: as sent; version: what they name, null when no such version exists. label: that the app
    asked for. rollout, step, arm, unit_bucket: of the exposure, all or none. cost_usd: what we take it to have cost;
    reported_usd: what its client said. output_valid: whether the output followed the version's response schema, null
    where there was none or it was not checked. user_hash: keyed (observability.privacy). attempts: how often the client
    tried. attempt_of: the span that wraps the attempts, where each attempt is a span. is_summary: told by the late
    record of a stream alone (core.calls). observed: which measures have gone into evidence, as bits (core.measures).
    held: it failed and is no evidence yet, since what may follow could tell otherwise. place: its order, by the hour of
    its start and then by arrival. Indexes are by place and not by started_at, so that what is written at one time lies
    side by side: that halves what a commit has to write.
    """

    trace_id = models.BinaryField(max_length=16)
    span_id = models.BinaryField(max_length=8)
    scope = models.CharField(max_length=200, db_default="")
    response_id = models.CharField(max_length=200, null=True)
    prompt_name = models.CharField(max_length=200, null=True)
    version_text = models.CharField(max_length=200, null=True)
    version = models.ForeignKey(
        PromptVersion, null=True, on_delete=models.PROTECT, related_name="calls", db_index=False
    )
    label = models.CharField(max_length=200, null=True)
    rollout = models.CharField(max_length=30, null=True)
    step = models.PositiveSmallIntegerField(null=True)
    arm = models.CharField(max_length=7, null=True)
    unit_bucket = models.PositiveSmallIntegerField(null=True)
    operation = models.CharField(max_length=200)
    # A column of its own, since no database uses a partial index for a condition whose value comes as a parameter.
    is_embedding = models.BooleanField(db_default=False)
    provider = models.CharField(max_length=200, null=True)
    request_model = models.CharField(max_length=200, null=True)
    response_model = models.CharField(max_length=200, null=True)
    stream = models.BooleanField(null=True)
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    cached_tokens = models.PositiveIntegerField(null=True)
    cache_write_tokens = models.PositiveIntegerField(null=True)
    reasoning_tokens = models.PositiveIntegerField(null=True)
    ttft_ms = models.FloatField(null=True)
    inter_token_ms = models.FloatField(null=True)
    duration_ms = models.FloatField(null=True)
    cost_usd = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    cost_source = models.CharField(max_length=12, null=True, choices=CostSource)
    price_version = models.CharField(max_length=40, null=True)
    reported_usd = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    finish_reason = models.CharField(max_length=200, null=True)
    error = models.BooleanField()
    error_class = models.CharField(max_length=10, null=True)
    output_valid = models.BooleanField(null=True)
    user_hash = models.CharField(max_length=64, null=True)
    session = models.CharField(max_length=200, null=True)
    feature = models.CharField(max_length=200, null=True)
    environment = models.CharField(max_length=200, null=True)
    attempts = models.PositiveSmallIntegerField(db_default=1)
    attempt_of = models.BinaryField(max_length=8, null=True)
    is_summary = models.BooleanField(db_default=False)
    # What was stored before these columns has been counted, whatever it was.
    observed = models.PositiveSmallIntegerField(db_default=32_767)
    held = models.BooleanField(db_default=False)
    started_at = models.DateTimeField()
    place = models.BigIntegerField(db_default=0)

    objects = CallQuerySet.as_manager()

    class Meta:
        ordering = ["-place"]
        indexes = [
            models.Index(fields=["span_id"], name="calls_by_span"),
            models.Index(
                fields=["response_id", "scope"], name="calls_by_response", condition=Q(response_id__isnull=False)
            ),
            models.Index(fields=["place"], name="calls_by_place"),
            models.Index(fields=["prompt_name", "place"], name="calls_by_prompt"),
            models.Index(
                fields=["started_at"],
                name="llm_calls_without_response_id",
                condition=Q(response_id__isnull=True) & Q(is_embedding=False),
            ),
            models.Index(fields=["place"], name="calls_held", condition=Q(held=True)),
            models.Index(fields=["rollout", "arm", "id"], name="calls_by_rollout", condition=Q(rollout__isnull=False)),
        ]
        constraints = [
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
        return not self.is_embedding


class OtherSpan(models.Model):
    """A span that tells of a call for which another span stands: by an instrumentation beside it, or of an attempt."""

    trace_id = models.BinaryField(max_length=16)
    span_id = models.BinaryField(max_length=8)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="other_spans")

    class Meta:
        indexes = [models.Index(fields=["span_id"], name="other_spans_by_span")]
        constraints = [UniqueConstraint(fields=["trace_id", "span_id"], name="a_span_tells_of_one_call")]

    def __str__(self) -> str:
        return bytes(self.span_id).hex()

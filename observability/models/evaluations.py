"""Evaluations: the durable queue of what is to be judged, and what became of it."""

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from observability.models.calls import Call
from observability.models.evaluators import EvaluatorVersion
from observability.models.scores import Score
from registry.models import Prompt


class EvaluationStatus(models.TextChoices):
    """scored: it gave a score. missing: it will not, for a reason; never a zero."""

    WAITING = "waiting"
    SCORED = "scored"
    MISSING = "missing"


class Missing(models.TextChoices):
    """Why there is no score."""

    NO_OUTPUT = "no_output"
    NO_TEXT = "no_text"
    NO_CONTEXTS = "no_contexts"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    NOT_JSON = "not_json"
    OUT_OF_RANGE = "out_of_range"
    NOT_INSTALLED = "not_installed"
    FAILED = "failed"
    BUDGET = "budget"
    TOO_OLD = "too_old"


class Evaluation(models.Model):
    """One evaluator asked about one call.

    probability: with which the call was chosen. by_design: chosen by its arm's share, and so evidence; False for a
    failed call that was chosen because it failed. urgent: of a rollout's call, judged first. next_attempt_at: not
    before; lease_until: somebody is at it. missing: why there is no score. model: that the judge says it is.
    cost_usd, latency_ms: of all attempts together; null where not known.
    """

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="evaluations")
    evaluator_version = models.ForeignKey(EvaluatorVersion, on_delete=models.PROTECT, related_name="evaluations")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="+", db_index=False)
    probability = models.FloatField()
    by_design = models.BooleanField()
    urgent = models.BooleanField()
    status = models.CharField(max_length=7, choices=EvaluationStatus, default=EvaluationStatus.WAITING)
    missing = models.CharField(max_length=20, choices=Missing, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    score = models.OneToOneField(Score, null=True, on_delete=models.SET_NULL, related_name="evaluation")
    model = models.CharField(max_length=200, null=True)
    cost_usd = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    latency_ms = models.FloatField(null=True)
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["-urgent", "next_attempt_at"], name="evaluations_waiting", condition=Q(status="waiting")
            ),
            models.Index(fields=["prompt", "created_at"], name="evaluations_by_prompt"),
            models.Index(fields=["evaluator_version", "settled_at"], name="evaluations_by_evaluator"),
        ]
        constraints = [
            UniqueConstraint(fields=["call", "evaluator_version"], name="an_evaluator_version_judges_a_call_once"),
            CheckConstraint(condition=Q(status__in=EvaluationStatus.values), name="evaluation_status_is_known"),
            CheckConstraint(
                condition=Q(probability__gt=0, probability__lte=1), name="probability_over_0_and_at_most_1"
            ),
            CheckConstraint(
                condition=Q(status="missing", missing__in=Missing.values) | (~Q(status="missing") & Q(missing="")),
                name="a_missing_score_has_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.evaluator_version} of call {self.call_id}"


class EvaluationText(models.Model):
    """The scrubbed texts of a call that waits to be judged; gone when its last evaluation is settled.

    in_doubt: of a call that is not chosen, and may be when more is known of it; kept for minutes.
    """

    call = models.OneToOneField(Call, on_delete=models.CASCADE, primary_key=True, related_name="evaluation_text")
    input_text = models.TextField(null=True)
    output_text = models.TextField(null=True)
    stored_at = models.DateTimeField(db_index=True)
    in_doubt = models.BooleanField(default=False, db_default=False)

    class Meta:
        indexes = [models.Index(fields=["stored_at"], name="evaluation_texts_in_doubt", condition=Q(in_doubt=True))]

    def __str__(self) -> str:
        return f"text of call {self.pk}, to be judged"


class RetrievedText(models.Model):
    """The scrubbed documents that a retrieval span of a trace brought, kept while calls of the trace may be judged.

    documents: a list of strings, in the span's order. in_doubt: no call of the trace is chosen, and one may be when
    more is known; kept for minutes.
    """

    trace_id = models.BinaryField(max_length=16)
    span_id = models.BinaryField(max_length=8)
    documents = models.JSONField()
    stored_at = models.DateTimeField(db_index=True)
    in_doubt = models.BooleanField(default=False, db_default=False)

    class Meta:
        indexes = [models.Index(fields=["stored_at"], name="retrieved_texts_in_doubt", condition=Q(in_doubt=True))]
        constraints = [UniqueConstraint(fields=["trace_id", "span_id"], name="a_span_brings_its_documents_once")]

    def __str__(self) -> str:
        return f"documents of span {bytes(self.span_id).hex()}"


class JudgingDay(models.Model):
    """What was judged of a prompt on a day (UTC), against its budget. usd: what the judges said that it cost."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="+", db_index=False)
    day = models.DateField()
    calls = models.PositiveIntegerField(default=0)
    usd = models.DecimalField(max_digits=20, decimal_places=12, default=0)

    class Meta:
        constraints = [UniqueConstraint(fields=["prompt", "day"], name="a_day_of_judging_is_counted_once")]

    def __str__(self) -> str:
        return f"judged of prompt {self.prompt_id} on {self.day}"

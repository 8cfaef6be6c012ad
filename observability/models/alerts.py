"""Alerts: what somebody should look at, one row for as long as one cause holds."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint


class AlertKind(models.TextChoices):
    """baseline: a metric left its rolling seven days. objective: an error budget burns too fast. spend_budget: 80 or
    100 % of a soft budget is spent. spend_anomaly: somebody spends ten times as much as usual. judge_drift: the judge,
    and not the prompt, has changed. judge_failing: too many scores are missing. judging_budget: 80 or 100 % of what may
    be judged of a prompt today is used."""

    BASELINE = "baseline"
    OBJECTIVE = "objective"
    SPEND_BUDGET = "spend_budget"
    SPEND_ANOMALY = "spend_anomaly"
    JUDGE_DRIFT = "judge_drift"
    JUDGE_FAILING = "judge_failing"
    JUDGING_BUDGET = "judging_budget"


class Severity(models.TextChoices):
    WARNING = "warning"
    CRITICAL = "critical"


class Alert(models.Model):
    """One cause that held from fired_at until resolved_at, null while it holds.

    cause: names it, the same text whenever the same thing is wrong, such as
    `baseline:order-extractor:production:faithfulness`. summary: one sentence. data: the numbers behind it.
    notified_at: when the last notice of it was given, and notified_severity what that said; notices: how many.
    reopened_at: the last time that the cause came back too soon for another alert. acknowledged_at: somebody is at it,
    and no notice is repeated.
    """

    id = models.CharField(max_length=30, primary_key=True)
    kind = models.CharField(max_length=20, choices=AlertKind)
    cause = models.CharField(max_length=500)
    severity = models.CharField(max_length=8, choices=Severity)
    prompt = models.CharField(max_length=128, blank=True)
    label = models.CharField(max_length=64, blank=True)
    summary = models.TextField()
    data = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    fired_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    reopened_at = models.DateTimeField(null=True)
    notified_at = models.DateTimeField(null=True)
    notified_severity = models.CharField(max_length=8, blank=True, default="", db_default="")
    notices = models.PositiveIntegerField(default=0)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=200, blank=True)
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("handle_alert", "Can acknowledge and silence alerts")]
        indexes = [
            models.Index(fields=["cause", "-fired_at"], name="alerts_by_cause"),
            models.Index(fields=["prompt", "-fired_at"], name="alerts_by_prompt"),
        ]
        constraints = [
            UniqueConstraint(fields=["cause"], condition=Q(resolved_at__isnull=True), name="one_open_alert_per_cause"),
            CheckConstraint(condition=Q(kind__in=AlertKind.values), name="alert_kind_is_known"),
            CheckConstraint(condition=Q(severity__in=Severity.values), name="alert_severity_is_known"),
        ]

    def __str__(self) -> str:
        return self.summary


class Silence(models.Model):
    """That nobody is told of a cause until a moment, though it may hold. reason: why."""

    cause = models.CharField(max_length=500, primary_key=True)
    until = models.DateTimeField()
    reason = models.TextField()
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"{self.cause} until {self.until}"

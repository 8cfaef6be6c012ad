"""Webhook endpoints and what was, or is still to be, delivered to them."""

from datetime import datetime
from urllib.parse import urlsplit

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from registry.models import Event

DISABLED_BY = "by "
"""What the reason begins with, and the actor then ends, where somebody disabled an endpoint; else the sender did."""


class WebhookFormat(models.TextChoices):
    """standard: the event as JSON. slack: a sentence, as Slack and others that imitate it take it."""

    STANDARD = "standard"
    SLACK = "slack"


class WebhookEndpoint(models.Model):
    """events: the event types it wants, or an empty list for all. secret: `whsec_…`, shown once, needed to sign.

    previous_secrets: `[secret, until]` of those that sign too, the newest first. failing_since: of the first failure
    after the last success.
    """

    id = models.CharField(max_length=30, primary_key=True)
    url = models.CharField(max_length=2000)
    events = models.JSONField(default=list)
    description = models.CharField(max_length=200, blank=True)
    format = models.CharField(
        max_length=10, choices=WebhookFormat, default=WebhookFormat.STANDARD, db_default=WebhookFormat.STANDARD
    )
    secret = models.CharField(max_length=100)
    previous_secrets = models.JSONField(default=list, db_default=[])
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.CharField(max_length=200, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_failure_at = models.DateTimeField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    consecutive_failures = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        ordering = ["-id"]
        constraints = [CheckConstraint(condition=Q(format__in=WebhookFormat.values), name="webhook_format_is_known")]

    def __str__(self) -> str:
        return self.url

    @property
    def host(self) -> str:
        """All of the address that everybody may see: its path may hold a secret."""
        return urlsplit(self.url).hostname or self.pk

    def kept_at(self, moment: datetime) -> list[tuple[str, datetime]]:
        """The previous secrets that still sign then, and until when."""
        kept = [(secret, datetime.fromisoformat(until)) for secret, until in self.previous_secrets]
        return [(secret, until) for secret, until in kept if moment < until]

    def secrets_at(self, moment: datetime) -> list[str]:
        """Those that sign a message sent then, the newest first."""
        return [self.secret, *(secret for secret, _ in self.kept_at(moment))]


class DeliveryStatus(models.TextChoices):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class DeadReason(models.TextChoices):
    RETRIES_USED_UP = "retries_used_up"
    ENDPOINT_GONE = "endpoint_gone"
    ENDPOINT_DISABLED = "endpoint_disabled"


class Delivery(models.Model):
    """One event for one endpoint.

    payload: the exact bytes of every attempt. attempts: settled ones since it was made or last replayed.
    lease_until: until then one sender alone may send it.
    """

    id = models.CharField(max_length=30, primary_key=True)
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="deliveries")
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.PROTECT, related_name="deliveries")
    payload = models.BinaryField()
    status = models.CharField(max_length=10, choices=DeliveryStatus, default=DeliveryStatus.PENDING)
    dead_reason = models.CharField(max_length=20, choices=DeadReason, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(
                fields=["endpoint", "next_attempt_at", "event"],
                name="deliveries_due_by_endpoint",
                condition=Q(status=DeliveryStatus.PENDING),
            ),
            models.Index(fields=["endpoint", "status", "id"], name="deliveries_by_status"),
            models.Index(fields=["id"], name="deliveries_dead", condition=Q(status=DeliveryStatus.DEAD)),
        ]
        constraints = [
            UniqueConstraint(fields=["event", "endpoint"], name="one_delivery_per_event_and_endpoint"),
            CheckConstraint(
                condition=~Q(status=DeliveryStatus.PENDING) | Q(next_attempt_at__isnull=False),
                name="a_pending_delivery_has_a_next_attempt",
            ),
            CheckConstraint(condition=Q(status__in=DeliveryStatus.values), name="delivery_status_is_known"),
            CheckConstraint(
                condition=(Q(status=DeliveryStatus.DEAD) & ~Q(dead_reason=""))
                | (~Q(status=DeliveryStatus.DEAD) & Q(dead_reason="")),
                name="a_dead_delivery_alone_has_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.endpoint.host}"


class DeliveryAttempt(models.Model):
    """What one attempt met: an HTTP status or an error, never both empty."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="log")
    number = models.PositiveSmallIntegerField()
    attempted_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    http_status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [UniqueConstraint(fields=["delivery", "number"], name="one_row_per_attempt")]

    def __str__(self) -> str:
        return f"{self.delivery_id} attempt {self.number}"


class FanOut(models.Model):
    """One row. sequence: of the last event that has its deliveries."""

    sequence = models.BigIntegerField(default=0)

    class Meta:
        constraints = [CheckConstraint(condition=Q(pk=1), name="one_fan_out")]

    def __str__(self) -> str:
        return f"events fanned out up to {self.sequence}"

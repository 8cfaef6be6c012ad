"""Spans: every one once, with what a trace is drawn from."""

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint


class Span(models.Model):
    """A span once, however often it was sent.

    duration_ns: null where the clock was set back. context: what its descendants inherit from it (core.calls.Context),
    null for nothing.
    """

    trace_id = models.BinaryField(max_length=16)
    span_id = models.BinaryField(max_length=8)
    parent_id = models.BinaryField(max_length=8, null=True)
    name = models.CharField(max_length=200)
    scope = models.CharField(max_length=200)
    started_ns = models.BigIntegerField()
    duration_ns = models.BigIntegerField(null=True)
    status = models.PositiveSmallIntegerField()
    context = models.TextField(null=True)

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

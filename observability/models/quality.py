"""What was refused: the only trace of what came and cannot be found in any other table."""

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint


class Refused(models.TextChoices):
    SPANS = "spans"
    EVALUATIONS = "evaluations"


class RefusedHour(models.Model):
    """How many things of a kind were refused in an hour for a reason."""

    hour = models.DateTimeField()
    kind = models.CharField(max_length=11, choices=Refused)
    reason = models.CharField(max_length=100)
    n = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["hour", "kind", "reason"], name="one_count_per_hour_kind_and_reason"),
            CheckConstraint(condition=Q(kind__in=Refused.values), name="what_was_refused_is_of_a_known_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.n} {self.kind}: {self.reason}"

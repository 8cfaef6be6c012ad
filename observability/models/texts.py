"""Texts: what went into calls and came out of them, where storing it is switched on."""

from django.db import models
from django.db.models import CheckConstraint, Q

from observability.models.calls import Call


class KeptBecause(models.TextChoices):
    ERROR = "error"
    SAMPLE = "sample"


class CallText(models.Model):
    """The scrubbed texts (core.scrubbing) of one call, or only their SHA-256.

    The hashes are of the scrubbed texts, cut as they would be stored: from the hash of a text as it came, whoever can
    read the table could find out a telephone or card number in it by trying. They tell equal texts, no more.
    kept_because: why the texts are there; null where only the hashes are.
    """

    call = models.OneToOneField(Call, on_delete=models.CASCADE, primary_key=True, related_name="text")
    input_sha256 = models.BinaryField(max_length=32, null=True)
    output_sha256 = models.BinaryField(max_length=32, null=True)
    input_text = models.TextField(null=True)
    output_text = models.TextField(null=True)
    kept_because = models.CharField(max_length=6, null=True, choices=KeptBecause)
    stored_at = models.DateTimeField()

    class Meta:
        constraints = [
            CheckConstraint(
                condition=Q(kept_because__isnull=True, input_text__isnull=True, output_text__isnull=True)
                | Q(kept_because__isnull=False, kept_because__in=KeptBecause.values),
                name="a_text_is_kept_for_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"text of call {self.pk}"

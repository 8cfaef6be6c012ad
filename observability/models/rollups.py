"""Roll-ups: what the calls of an hour came to, kept after the calls themselves are gone.

An hour's rows are computed whole from its calls and replaced whole; observability.rollups is all that writes them.
"""

from typing import Self

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from registry.models import PromptVersion


class VersionHour(models.Model):
    """The figures (core.figures) of the LLM calls that started in an hour, by what they name.

    version: null where no such version exists; version_text is then what the client sent. errors: class → calls.
    ttft, latency, inter_token: bins of 1 %, and the calls of each, as two lists: read twice as fast as an object.
    scores: name → source → [n, sum, sum of squares].
    """

    hour = models.DateTimeField()
    prompt_name = models.CharField(max_length=200, null=True)
    version = models.ForeignKey(
        PromptVersion, null=True, on_delete=models.PROTECT, related_name="hours", db_index=False
    )
    version_text = models.CharField(max_length=200, null=True)
    label = models.CharField(max_length=200, null=True)
    environment = models.CharField(max_length=200, null=True)
    feature = models.CharField(max_length=200, null=True)
    calls = models.PositiveBigIntegerField()
    errors = models.JSONField()
    attempts = models.PositiveBigIntegerField()
    input_tokens = models.PositiveBigIntegerField()
    output_tokens = models.PositiveBigIntegerField()
    cached_tokens = models.PositiveBigIntegerField()
    reasoning_tokens = models.PositiveBigIntegerField()
    cost_usd = models.DecimalField(max_digits=24, decimal_places=12)
    priced = models.PositiveBigIntegerField()
    timed_tokens = models.PositiveBigIntegerField()
    timed_ms = models.FloatField()
    merged = models.PositiveBigIntegerField()
    ttft_is_total = models.PositiveBigIntegerField()
    ttft = models.JSONField()
    latency = models.JSONField()
    inter_token = models.JSONField()
    scores = models.JSONField()

    class Meta:
        indexes = [
            models.Index(fields=["hour"], name="version_hours_by_hour"),
            models.Index(fields=["prompt_name", "hour"], name="version_hours_by_prompt"),
        ]

    def __str__(self) -> str:
        return f"{self.prompt_name} {self.hour:%Y-%m-%dT%H}: {self.calls}"


class Dimension(models.TextChoices):
    """What spending is told by."""

    USER = "user"
    FEATURE = "feature"
    ENVIRONMENT = "environment"
    PROMPT = "prompt"
    MODEL = "model"


class SpendHourQuerySet(models.QuerySet["SpendHour"]):
    def of_all_dimensions(self) -> Self:
        """All rows, by the dimensions' names: the index begins with them, and none leads to an hour by itself."""
        return self.filter(dimension__in=Dimension.values)


class SpendHour(models.Model):
    """What all calls that started in an hour, embeddings too, cost by one dimension. value: null where they name none.

    unpriced, unpriced_tokens: calls whose cost is not known, and their tokens. cost_usd: of the others.
    """

    hour = models.DateTimeField()
    dimension = models.CharField(max_length=11, choices=Dimension)
    value = models.CharField(max_length=200, null=True)
    calls = models.PositiveBigIntegerField()
    input_tokens = models.PositiveBigIntegerField()
    output_tokens = models.PositiveBigIntegerField()
    cost_usd = models.DecimalField(max_digits=24, decimal_places=12)
    unpriced = models.PositiveBigIntegerField()
    unpriced_tokens = models.PositiveBigIntegerField()

    objects = SpendHourQuerySet.as_manager()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["dimension", "hour", "value"], name="one_spending_per_hour_and_value"),
            CheckConstraint(condition=Q(dimension__in=Dimension.values), name="spending_is_by_a_known_dimension"),
        ]

    def __str__(self) -> str:
        return f"{self.dimension} {self.value} {self.hour:%Y-%m-%dT%H}: {self.cost_usd}"


class ExposureHour(models.Model):
    """LLM calls that started in an hour and were exposed by a rollout, by arm and the version they name.

    scored: score name → calls with a score of that name that counts.
    """

    hour = models.DateTimeField()
    rollout = models.CharField(max_length=30)
    arm = models.CharField(max_length=7)
    version_id = models.BigIntegerField(null=True)
    calls = models.PositiveBigIntegerField()
    scored = models.JSONField()

    class Meta:
        indexes = [models.Index(fields=["hour"], name="exposure_hours_by_hour")]

    def __str__(self) -> str:
        return f"{self.rollout} {self.arm} {self.hour:%Y-%m-%dT%H}: {self.calls}"


class RollUpState(models.Model):
    """One row: the hours before rolled_until have been rolled up; those before sealed_until never will be again,
    since calls of theirs may have been deleted. Both null at first."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    rolled_until = models.DateTimeField(null=True)
    sealed_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(id=1), name="there_is_one_state_of_the_roll_ups"),
            CheckConstraint(
                condition=Q(sealed_until__isnull=True) | Q(sealed_until__lte=models.F("rolled_until")),
                name="only_what_is_rolled_up_is_sealed",
            ),
        ]

    def __str__(self) -> str:
        return f"rolled up until {self.rolled_until}"


class StaleHour(models.Model):
    """A mark that calls of an hour have changed since it may have been rolled up. Any number an hour: whoever makes one
    waits for nobody, and a roll-up deletes exactly those that it saw before it read the calls."""

    hour = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%dT%H}"

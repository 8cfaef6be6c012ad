"""Roll-ups: what the calls of an hour came to, kept after the calls themselves are gone.

An hour's rows are computed whole from its calls and replaced whole, a day's from its hours; observability.rollups is
all that writes them.
"""

from collections.abc import Sequence
from typing import Any, Self

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from observability.core.figures import SUMS, TIMES, Figures, ScoreSums
from registry.models import PromptVersion


class VersionFigures(models.Model):
    """The figures (core.figures) of the LLM calls of some time, by what they name.

    version: null where no such version exists; version_text is then what the client sent. errors: class → calls.
    told_tokens, told_cached_tokens: 0 in what was rolled up before they were known.
    ttft, latency, inter_token: bins of 1 %, and the calls of each, as two lists: read twice as fast as an object.
    scores: name → source → [n, sum, sum of squares], and where weights are unequal to 1 their sums (core.figures).
    """

    prompt_name = models.CharField(max_length=200, null=True)
    version = models.ForeignKey(PromptVersion, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    version_text = models.CharField(max_length=200, null=True)
    label = models.CharField(max_length=200, null=True)
    environment = models.CharField(max_length=200, null=True)
    calls = models.PositiveBigIntegerField()
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
    told_tokens = models.PositiveBigIntegerField(default=0, db_default=0)
    told_cached_tokens = models.PositiveBigIntegerField(default=0, db_default=0)
    errors = models.JSONField()
    scores = models.JSONField()
    ttft = models.JSONField()
    latency = models.JSONField()
    inter_token = models.JSONField()

    class Meta:
        abstract = True

    @property
    def figures(self) -> Figures:
        found = Figures(**{name: getattr(self, name) for name in SUMS})
        found.errors.update(self.errors)
        for name in TIMES:
            bins, calls = getattr(self, name)
            getattr(found, name).update(dict(zip(bins, calls, strict=True)))
        for name, by_source in self.scores.items():
            for source, sums in by_source.items():
                found.scores[name, source] = ScoreSums.of(sums)
        return found


def columns_of(figures: Figures) -> dict[str, Any]:
    """The figures as VersionFigures keeps them."""
    columns = {name: getattr(figures, name) for name in (*SUMS, "errors")}
    bins = {name: [[*getattr(figures, name).keys()], [*getattr(figures, name).values()]] for name in TIMES}
    scores: dict[str, dict[str, Sequence[float]]] = {}
    for (name, source), sums in figures.scores.items():
        scores.setdefault(name, {})[source] = sums.to_json()
    return {**columns, **bins, "scores": scores}


class VersionHour(VersionFigures):
    """Of the calls that started in an hour."""

    hour = models.DateTimeField()
    feature = models.CharField(max_length=200, null=True)

    class Meta:
        indexes = [
            models.Index(fields=["hour"], name="version_hours_by_hour"),
            models.Index(fields=["prompt_name", "hour"], name="version_hours_by_prompt"),
        ]

    def __str__(self) -> str:
        return f"{self.prompt_name} {self.hour:%Y-%m-%dT%H}: {self.calls}"


QUARTER, WHOLE_DAY = 6, 24  # hours: what a week and what a month are read in
SPANS = (QUARTER, WHOLE_DAY)


class VersionSpan(VersionFigures):
    """Of some hours of a day together, features not told apart: so that weeks are read in few rows."""

    starts_at = models.DateTimeField()
    hours = models.PositiveSmallIntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["starts_at"], name="version_spans_by_start"),
            models.Index(fields=["prompt_name", "hours", "starts_at"], name="version_spans_by_prompt"),
        ]
        constraints = [CheckConstraint(condition=Q(hours__in=SPANS), name="a_span_is_a_quarter_of_a_day_or_a_day")]

    def __str__(self) -> str:
        return f"{self.prompt_name} {self.starts_at:%Y-%m-%dT%H} {self.hours} h: {self.calls}"


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


class SpendDay(models.Model):
    """The sum of a whole day's SpendHour rows, so that a month of many users is read in few rows; RolledDay tells
    whether it still is. value: null where calls name none."""

    day = models.DateField()
    dimension = models.CharField(max_length=11, choices=Dimension)
    value = models.CharField(max_length=200, null=True)
    cost_usd = models.DecimalField(max_digits=24, decimal_places=12)

    class Meta:
        constraints = [
            UniqueConstraint(fields=["dimension", "day", "value"], name="one_spending_per_day_and_value"),
            CheckConstraint(
                condition=Q(dimension__in=Dimension.values), name="spending_of_days_is_by_a_known_dimension"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dimension} {self.value} {self.day}: {self.cost_usd}"


class ExposureHour(models.Model):
    """LLM calls that started in an hour and were exposed by a rollout, by arm and the version they name.

    scored: score name → calls with a score of that name that counts. told_tokens: input tokens of calls whose provider
    tells how many came from its cache; told_cached_tokens: these; both 0 in what was rolled up before they were known.
    """

    hour = models.DateTimeField()
    rollout = models.CharField(max_length=30)
    arm = models.CharField(max_length=7)
    version_id = models.BigIntegerField(null=True)
    calls = models.PositiveBigIntegerField()
    scored = models.JSONField()
    told_tokens = models.PositiveBigIntegerField(default=0, db_default=0)
    told_cached_tokens = models.PositiveBigIntegerField(default=0, db_default=0)

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


class RolledDay(models.Model):
    """A mark that a day's VersionSpan rows up to `until`, where a span ends, are the sums of its VersionHour rows; gone
    when one of these changes.

    summed, ids: how many rows these were, and the sum of their ids, so that a change is seen though whoever
    made it knows no marks. Both null for a mark that does not tell. spending: whether a whole day's SpendDay rows are
    its sums too; false for what a release made that did not know them.
    """

    day = models.DateField(primary_key=True)
    until = models.DateTimeField()
    summed = models.PositiveBigIntegerField(null=True)
    ids = models.PositiveBigIntegerField(null=True)
    spending = models.BooleanField(default=False, db_default=False)

    def __str__(self) -> str:
        return f"{self.day} until {self.until:%Y-%m-%dT%H}"


class StaleHour(models.Model):
    """A mark that calls of an hour have changed since it may have been rolled up. Any number an hour: whoever makes one
    waits for nobody, and a roll-up deletes exactly those that it saw before it read the calls."""

    hour = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%dT%H}"

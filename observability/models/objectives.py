"""Objectives: what a prompt promises of the calls of a label, and how long its error budget is."""

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from observability.core.objectives import Comparison, Promise
from observability.models.evaluators import SCORE_NAME
from registry.models import LABEL_NAME, Prompt

OBJECTIVE_NAME = RegexValidator(
    r"\A[a-z0-9][a-z0-9_.-]{0,99}\Z", "expected 1 to 100 of a-z, 0-9, _ . and -, the first a letter or digit"
)
LEAST_DAYS, MOST_DAYS = 7, 90


class Objective(models.Model):
    """What all calls that name the label promise (core.objectives.Promise), whatever their version or arm.

    target_bp: the share of the calls that keep the threshold, where a call's time or cost is promised; null where the
    mean is. days: of which the error budget is, today's included. revision: goes up by one with every change.
    """

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="objectives")
    label = models.CharField(max_length=64, default="production", validators=[LABEL_NAME])
    name = models.CharField(max_length=100, validators=[OBJECTIVE_NAME])
    metric = models.CharField(max_length=100, validators=[SCORE_NAME])
    comparison = models.CharField(max_length=5, choices=[("above", "above"), ("below", "below")])
    threshold = models.FloatField()
    target_bp = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(9_999)]
    )
    days = models.PositiveSmallIntegerField(
        default=28, validators=[MinValueValidator(LEAST_DAYS), MaxValueValidator(MOST_DAYS)]
    )
    active = models.BooleanField(default=True)
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(editable=False)
    created_by = models.CharField(max_length=200, editable=False)

    class Meta:
        ordering = ["prompt", "label", "name"]
        constraints = [
            UniqueConstraint(fields=["prompt", "label", "name"], name="one_objective_of_a_name_per_prompt_and_label"),
            CheckConstraint(condition=Q(comparison__in=["above", "below"]), name="objective_comparison_is_known"),
            CheckConstraint(condition=Q(threshold__gt=0), name="objective_threshold_is_over_0"),
            CheckConstraint(
                condition=Q(target_bp__isnull=True) | Q(target_bp__gte=1, target_bp__lte=9_999),
                name="objective_target_between_1_and_9999",
            ),
            CheckConstraint(
                condition=Q(days__gte=LEAST_DAYS, days__lte=MOST_DAYS), name="objective_days_between_7_and_90"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prompt.name} ({self.label}): {self.name}"

    @property
    def promise(self) -> Promise:
        comparison: Comparison = "above" if self.comparison == "above" else "below"
        target = None if self.target_bp is None else self.target_bp / 10_000
        return Promise(self.metric, comparison, self.threshold, target)

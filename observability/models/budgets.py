"""Soft budgets of spending: who may spend how much in a day or a month before people are told."""

from decimal import Decimal

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from observability.core.budgets import Period
from observability.core.conversions import TEXT_LIMIT
from observability.models.rollups import Dimension

BUDGETED = (Dimension.USER, Dimension.FEATURE, Dimension.ENVIRONMENT, Dimension.PROMPT)
LEAST_USD, MOST_USD = Decimal("0.01"), Decimal(1_000_000_000)


class SpendBudget(models.Model):
    """Nothing is refused when it is spent: it is said, at 80 and at 100 %.

    value: of the dimension, such as a prompt's name or the hash of a user; empty for each of its values by itself, but
    for those that have a budget of their own for the same period. period: UTC. active: whether it is looked at.
    """

    dimension = models.CharField(max_length=11, choices=[(each.value, each.label) for each in BUDGETED])
    value = models.CharField(max_length=TEXT_LIMIT, blank=True, help_text="Empty for each value by itself")
    period = models.CharField(max_length=7, choices=[(each.value, each.value) for each in Period])
    usd = models.DecimalField(max_digits=20, decimal_places=6, help_text="USD that may be spent in each day or month")
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(editable=False)
    created_by = models.CharField(max_length=200, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            UniqueConstraint(fields=["dimension", "value", "period"], name="one_spend_budget_per_value_and_period"),
            CheckConstraint(condition=Q(dimension__in=BUDGETED), name="a_spend_budget_is_of_a_known_dimension"),
            CheckConstraint(
                condition=Q(period__in=[each.value for each in Period]), name="a_spend_budget_is_daily_or_monthly"
            ),
            CheckConstraint(
                condition=Q(usd__gte=LEAST_USD, usd__lte=MOST_USD),
                name="a_spend_budget_is_over_0_and_under_all_bounds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.period} budget of {self.dimension} {self.value or 'each'}: {self.usd} USD"

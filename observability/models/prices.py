"""Prices: the project's own, which go before those of the price table."""

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from observability.core.conversions import TEXT_LIMIT

MOST_USD = 100_000  # for a million tokens or a call: far above any, and so that no call's cost outgrows its column
PRICES = ("input", "cached_input", "cache_write", "output", "call")


def usd(**options: Any) -> "models.DecimalField[Any, Any]":
    return models.DecimalField(max_digits=18, decimal_places=12, **options)


def at_most_and_not_negative(field: str) -> Q:
    return Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__gte": 0, f"{field}__lte": MOST_USD})


class PriceOverride(models.Model):
    """What models cost from a time on; never changed, since stored calls name it as the version of their price.

    provider: empty for any. pattern: a glob over the model's name, in lower case. input, cached_input, cache_write,
    output: USD for a million tokens, null for the price of input; call: USD for each call beside them.
    """

    provider = models.CharField(max_length=TEXT_LIMIT, blank=True, help_text="As calls tell it; empty for any")
    pattern = models.CharField(max_length=TEXT_LIMIT, help_text="Of the model's name: * any text, ? one character")
    effective_from = models.DateTimeField(help_text="Counts for calls that start then or later")
    input = usd(help_text="USD for a million tokens")
    cached_input = usd(null=True, blank=True, help_text="Read from a cache; empty: as input")
    cache_write = usd(null=True, blank=True, help_text="Written to a cache; empty: as input")
    output = usd(help_text="USD for a million tokens")
    call = usd(default=0, help_text="USD for each call beside its tokens")
    note = models.CharField(max_length=TEXT_LIMIT, blank=True)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["-effective_from", "-id"]
        constraints = [
            UniqueConstraint(
                fields=["provider", "pattern", "effective_from"], name="one_price_per_provider_pattern_and_time"
            ),
            CheckConstraint(condition=~Q(pattern=""), name="a_price_names_its_models"),
            *(
                CheckConstraint(
                    condition=at_most_and_not_negative(price), name=f"price_of_{price}_is_between_0_and_most"
                )
                for price in PRICES
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider or 'any provider'} {self.pattern} from {_day(self.effective_from)}"


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"

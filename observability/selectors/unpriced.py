"""Which models have no price?"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import Coalesce

from observability.models import Call
from registry.reach import EVERYTHING, Reach

UNPRICED_FOR = timedelta(days=7)
MOST_UNPRICED = 200


@dataclass(frozen=True, slots=True)
class UnpricedModel:
    """A model as its calls name it, the one that answered where that is told; tokens: in and out of those calls."""

    provider: str | None
    model: str | None
    calls: int
    tokens: int
    last_seen: datetime


def unpriced_models(*, since: datetime, reach: Reach = EVERYTHING) -> list[UnpricedModel]:
    """The models of calls since then that told tokens and have no cost, at most 200, the most tokens first."""
    told = Q(input_tokens__gt=0) | Q(output_tokens__gt=0)
    reached = Call.objects.filter(reach.rows(prompt="prompt_name", label="label"))
    unpriced = reached.filter(told, cost_usd__isnull=True).since(since).order_by()
    found = unpriced.values("provider", model=Coalesce("response_model", "request_model")).annotate(
        calls=Count("id"),
        tokens=Sum(Coalesce("input_tokens", 0) + Coalesce("output_tokens", 0)),
        last_seen=Max("started_at"),
    )
    return [UnpricedModel(**row) for row in found.order_by("-tokens", "provider", "model")[:MOST_UNPRICED]]

"""What calls cost, and who or what spent it."""

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.rest import read_query
from observability.api.ranges import RangeFilters
from observability.models import Dimension
from observability.representation import spending_json
from observability.selectors.spend import spent
from registry.keys import grant_behind, refuse_restricted

MOST_SPENDERS = 1_000


class SpendFilters(RangeFilters):
    by = serializers.ChoiceField(Dimension.choices)
    limit = serializers.IntegerField(min_value=1, max_value=MOST_SPENDERS, default=50)


class SpendView(APIView):
    """GET: spending by user (hash), feature, environment, prompt or model, in all and per day; the most first."""

    def get(self, request: Request) -> Response:
        query = read_query(SpendFilters, request)
        grant = grant_behind(request)
        if query["by"] != Dimension.PROMPT or grant.reach.labels:
            refuse_restricted(grant, "spending is told apart by prompts alone (by=prompt), and not by labels")
        found = spent(**query, reach=grant.reach)
        items = [
            {
                "value": spender.value,
                **spending_json(spender.total),
                "days": [{"day": day.isoformat(), **spending_json(sums)} for day, sums in spender.days.items()],
            }
            for spender in found.spenders
        ]
        return Response(
            {
                "since": query["since"],
                "until": query["until"],
                "by": query["by"],
                "total": spending_json(found.total),
                "items": items,
                "left_out": found.left_out,
            }
        )

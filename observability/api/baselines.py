"""How the metrics of a prompt under a label do beside their rolling seven days."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.clock import now
from common.rest import StrictSerializer, read_query
from observability.api.fields import Text
from observability.selectors.baselines import DAY, Watched, pairs_in_reach, watched
from registry.keys import reach_of

MOST_PAIRS = 20  # each takes two statements


class BaselineFilters(StrictSerializer):
    prompt = Text()
    label = Text(required=False)  # type: ignore[assignment]  # DRF's fields have a label of their own


class BaselinesView(APIView):
    """GET: each metric's level, baseline, threshold and state (learning, steady, firing), by label."""

    def get(self, request: Request) -> Response:
        query = read_query(BaselineFilters, request)
        at = now()
        pairs = pairs_in_reach(query["prompt"], query.get("label"), at - DAY, reach_of(request))
        items = [
            {"prompt": pair[0], "label": pair[1] or None, **_json(metric)}
            for pair in pairs[:MOST_PAIRS]
            for metric in watched(pair, at)
        ]
        return Response({"items": items, "left_out": max(0, len(pairs) - MOST_PAIRS)})


def _json(one: Watched) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "state": one.state,
        "now": one.now,
        "n": one.n,
        "baseline": one.mean,
        "threshold": one.threshold,
        "days": one.base.days if one.base else 0,
    }

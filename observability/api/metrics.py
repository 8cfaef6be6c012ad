"""How the versions of prompts did."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.rest import read_query
from observability.api.fields import Text
from observability.api.ranges import RangeFilters
from observability.representation import figures_json
from observability.selectors.metrics import (
    ENVIRONMENT,
    FEATURE,
    GROUPINGS,
    INTERVALS,
    LABEL,
    TOTAL,
    VERSION,
    Group,
    version_metrics,
)
from registry.keys import reach_of

MOST_ITEMS = 5_000


class Groupings(serializers.Field[tuple[str, ...], Any, str, Any]):
    """One or several of GROUPINGS, with commas in between."""

    def to_internal_value(self, data: Any) -> tuple[str, ...]:
        names = [name.strip() for name in str(data).split(",")]
        if unknown := sorted(set(names) - set(GROUPINGS)):
            raise serializers.ValidationError(f"expected some of {', '.join(GROUPINGS)}, got {', '.join(unknown)[:60]}")
        return tuple(names)


class MetricFilters(RangeFilters):
    prompt = Text(required=False)
    by = Groupings(default=(VERSION,))
    interval = serializers.ChoiceField(INTERVALS, default=TOTAL)
    limit = serializers.IntegerField(min_value=1, max_value=MOST_ITEMS, default=500)


class VersionMetricsView(APIView):
    """GET: figures of LLM calls by version, label, environment or feature, and by hour, day or in all."""

    def get(self, request: Request) -> Response:
        query = read_query(MetricFilters, request)
        limit = query.pop("limit")
        found = version_metrics(**query, reach=reach_of(request))
        items = [
            {"start": group.start, **_key_json(group, query["by"]), **figures_json(figures)}
            for group, figures in found[:limit]
        ]
        return Response(
            {
                "since": query["since"],
                "until": query["until"],
                "interval": query["interval"],
                "items": items,
                "left_out": len(found) - len(items),
            }
        )


def _key_json(group: Group, by: tuple[str, ...]) -> dict[str, Any]:
    key = group.key
    told: dict[str, Any] = {
        VERSION: group.version,
        LABEL: key.label,
        ENVIRONMENT: key.environment,
        FEATURE: key.feature,
    }
    known = {"known_version": key.version_id is not None} if VERSION in by else {}
    return {"prompt": key.prompt_name} | {name: told[name] for name in GROUPINGS if name in by} | known

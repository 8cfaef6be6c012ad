"""The range of hours that a reading is over: `since` and `until`, given as times, taken as whole hours."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rest_framework import serializers

from common.clock import now
from common.rest import StrictSerializer
from observability.selectors.hours import HOUR, hour_of

LONGEST = timedelta(days=400)
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)


class RangeFilters(StrictSerializer):
    """since: from the start of its hour, a day ago where it is silent. until: to the end of its hour, now."""

    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name, moment in attrs.items():
            if isinstance(moment, datetime) and not EARLIEST <= moment < LATEST:
                raise serializers.ValidationError({name: "expected a time from 1970 to 2999"})
        until: datetime = attrs.get("until") or now()
        since: datetime = attrs.get("since") or max(EARLIEST, until - timedelta(days=1))
        if since > until:
            raise serializers.ValidationError({"since": "expected a time before until"})
        if until - since > LONGEST:
            raise serializers.ValidationError({"since": f"expected at most {LONGEST.days} days before until"})
        return attrs | {"since": hour_of(since), "until": _end(until)}


def _end(until: datetime) -> datetime:
    start = hour_of(until)
    return start if start == until else start + HOUR

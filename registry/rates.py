"""How often a key may ask the management API: so that a program gone wild does not take the service from the others.

Counted by each web process for itself. Prompts, rulesets and flags are served from memory and never counted, and where
calls and scores come in, the answer to too many is 503 (observability.ingest.gate).
"""

import math

from django.conf import settings
from django.views import View
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from common.errors import TooManyRequests
from registry.keys import grant_behind
from registry.models import Scope


class KeyRate(SimpleRateThrottle):
    """SERINUS_API_RATE requests of a key in any minute."""

    def get_rate(self) -> str:
        return f"{settings.API_RATE}/min"

    def get_cache_key(self, request: Request, view: View) -> str | None:
        """None: not counted."""
        if getattr(view, "scopes", {}).get(request.method) == Scope.INGEST:
            return None
        return f"key-rate:{grant_behind(request).sha256}"

    def throttle_failure(self) -> bool:
        wait_s = math.ceil(self.wait() or 1)
        raise TooManyRequests("too_many_requests", f"This key asks too often; wait {wait_s} s", wait_s=wait_s)

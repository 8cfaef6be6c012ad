"""The events over REST, in their order, for whoever pulls them: what a webhook may have lost, or instead of one."""

import time
from typing import Any

from django.db import close_old_connections
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.rest import StrictSerializer, read_query
from registry import events
from registry.events import EVENT_TYPES, Page, event_json
from registry.keys import check_scope, find_grant, reach_of
from registry.models import Scope
from rollout.serving.event_watch import watch
from rollout.serving.waiting import a_place

LONGEST_WAIT_S = 30


class EventFilters(StrictSerializer):
    after = serializers.IntegerField(min_value=0, max_value=2**63 - 1, default=None)
    limit = serializers.IntegerField(min_value=1, max_value=500, default=50)
    wait = serializers.IntegerField(min_value=0, max_value=LONGEST_WAIT_S, default=0)
    type = serializers.ChoiceField(EVENT_TYPES, required=False)
    prompt = serializers.CharField(max_length=128, required=False)


class EventList(APIView):
    """GET: the events after `after` by their numbers; with `wait` as soon as there are any."""

    def get(self, request: Request) -> Response:
        query = read_query(EventFilters, request)
        wait_s, asked_for = query.pop("wait"), query.pop("after")
        query["reach"] = reach_of(request)
        page = events.after(asked_for, **query)
        if wait_s and not page.events:
            page = _wait_for_more(page, query, wait_s)
            check_scope(find_grant(request.META.get("HTTP_AUTHORIZATION", "")), Scope.READ)  # it may be revoked by now
        return Response(
            {
                "items": [event_json(event) for event in page.events],
                "next": page.last if page.more else None,
                "last": page.last,
            }
        )


class EventDetail(APIView):
    def get(self, request: Request, event_id: str) -> Response:
        return Response(event_json(events.find_event(event_id, reach_of(request))))


def _wait_for_more(page: Page, query: dict[str, Any], wait_s: float) -> Page:
    """The page once it holds an event, or an empty one when the time is over or there is no room to wait."""
    until = time.monotonic() + wait_s
    with a_place() as room:
        while room and not page.events:
            close_old_connections()  # whoever answers meanwhile needs them
            room = watch.wait_beyond(page.last, until - time.monotonic())
            page = events.after(page.last, **query)
    return page

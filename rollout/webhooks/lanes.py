"""Whose delivery is sent next: no endpoint ever waits for the slowness of another.

One process has PLACES for requests that are under way. An endpoint gets one of them, and several while it answers at
once (is *lively*). All that are not lively together never get every place, so that lively ones find some even when all
others hang. Among those who may send, the one that waited longest is next. Requests run in threads without a database;
claiming and settling is done by one thread with one connection.

What is known of an endpoint is what this process saw of it last: at its start none is lively.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from queue import Empty, SimpleQueue

from django.db.models import OuterRef, Subquery

from common.clock import now
from rollout.models import Delivery, WebhookEndpoint
from rollout.webhooks.post import Answer, describe
from rollout.webhooks.sender import Sent, claim, due, send, settle

logger = logging.getLogger(__name__)

PLACES = 128
PLACES_OF_THE_UNPROVEN = 96
PLACES_OF_A_LIVELY_ENDPOINT = 4
LIVELY_MS = 1000


class Lanes:
    def __init__(self) -> None:
        self._back: SimpleQueue[tuple[Delivery, Sent]] = SimpleQueue()
        self._under_way: Counter[str] = Counter()  # by endpoint
        self._lively: set[str] = set()

    @property
    def under_way(self) -> int:
        return self._under_way.total()

    def start_due(self) -> None:
        """Start sending what is due, as far as there are places."""
        while self._start_one_of_each():
            pass

    def settle_back(self, *, wait_s: float) -> int:
        """Settle what has come back; when nothing has, wait for it so long. How many these were."""
        settled = 0
        for delivery, sent in self._come_back(wait_s):
            self._free(delivery, sent)
            try:
                settle(delivery, sent)
            except Exception:  # a database that is away: the lease runs out, and it is sent again
                logger.exception("webhook.settling_failed", extra={"delivery": delivery.pk})
            settled += 1
        return settled

    def finish(self, *, within_s: float) -> None:
        """Start nothing any more and settle what comes back in time. The rest is sent again after its lease."""
        deadline = time.monotonic() + within_s
        while self.under_way and (left_s := deadline - time.monotonic()) > 0:
            self.settle_back(wait_s=left_s)

    def _start_one_of_each(self) -> int:
        started = 0
        for endpoint_id, delivery_id in longest_waiting(now(), full=self._full()):
            if self._has_place(endpoint_id) and (delivery := claim(delivery_id)):
                threading.Thread(target=self._send, args=(delivery,), name="webhook-lane", daemon=True).start()
                self._under_way[endpoint_id] += 1
                started += 1
        return started

    def _full(self) -> list[str]:
        return [
            endpoint_id
            for endpoint_id, number in self._under_way.items()
            if number >= (PLACES_OF_A_LIVELY_ENDPOINT if endpoint_id in self._lively else 1)
        ]

    def _has_place(self, endpoint_id: str) -> bool:
        if endpoint_id in self._lively:
            return self.under_way < PLACES
        unproven = sum(number for of, number in self._under_way.items() if of not in self._lively)
        return unproven < PLACES_OF_THE_UNPROVEN and self.under_way < PLACES

    def _send(self, delivery: Delivery) -> None:
        """In a thread of its own. Must give the place back, whatever happens."""
        at = now()
        try:
            sent = send(delivery)
        except Exception as error:
            logger.exception("webhook.sending_failed", extra={"delivery": delivery.pk})
            sent = Sent(at, 0, Answer(error=describe(error)))
        self._back.put((delivery, sent))

    def _come_back(self, wait_s: float) -> Iterator[tuple[Delivery, Sent]]:
        with suppress(Empty):
            yield self._back.get(timeout=wait_s)
            while True:
                yield self._back.get_nowait()

    def _free(self, delivery: Delivery, sent: Sent) -> None:
        self._under_way -= Counter([delivery.endpoint_id])
        if sent.answer.success and sent.duration_ms <= LIVELY_MS:
            self._lively.add(delivery.endpoint_id)
        else:
            self._lively.discard(delivery.endpoint_id)


def longest_waiting(moment: datetime, *, full: list[str]) -> list[tuple[str, str]]:
    """(endpoint, delivery) of each endpoint that is not full and has one due, in the order of who waited longest."""
    oldest = Delivery.objects.filter(due(moment), endpoint=OuterRef("pk")).order_by("next_attempt_at", "event_id")
    waiting = WebhookEndpoint.objects.exclude(pk__in=full).annotate(
        delivery=Subquery(oldest.values("pk")[:1]), since=Subquery(oldest.values("next_attempt_at")[:1])
    )
    return list(waiting.exclude(delivery=None).order_by("since", "pk").values_list("pk", "delivery"))

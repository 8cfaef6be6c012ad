"""`manage.py run_sender`: delivers events to webhook endpoints, until it is told to stop.

A process of its own: a receiver that hangs holds up neither rollouts nor the background work. Any number may run: each
delivery is claimed by the database.
"""

import logging
import threading
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections

from common.stopping import until_told
from rollout.webhooks.fan_out import deliver_new_events
from rollout.webhooks.lanes import Lanes

logger = logging.getLogger(__name__)

TICK_S = 0.5
FINISH_WITHIN_S = 3.0  # `serve` kills what is left after 6 s


class Command(BaseCommand):
    help = "Deliver events to webhook endpoints, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        until_told(run)


def run(stopping: threading.Event) -> None:
    """Send until stopping is set, then give what is under way a moment to come back."""
    lanes = Lanes()
    while not stopping.is_set():
        close_old_connections()
        try:
            deliver_new_events()
            lanes.start_due()
        except Exception:  # such as a database that is away: the next tick
            logger.exception("webhook.tick_failed")
            stopping.wait(TICK_S)
        lanes.settle_back(wait_s=TICK_S)
    lanes.finish(within_s=FINISH_WITHIN_S)

"""`manage.py run_judges`: asks the evaluators about the calls that were chosen for them, until it is told to stop.

A process of its own: a judge that is slow holds up neither rollouts nor the background work. Any number may run: each
evaluation is claimed by the database.
"""

import logging
import threading
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import close_old_connections

from common.stopping import until_told
from observability.judging.texts import drop_in_doubt
from observability.judging.worker import Judges

logger = logging.getLogger(__name__)

TICK_S = 0.5
BETWEEN_CLEANINGS_S = 60.0
FINISH_WITHIN_S = 3.0  # `serve` kills what is left after 6 s


class Command(BaseCommand):
    help = "Ask judges about the calls that were chosen for them, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        until_told(run)


def run(stopping: threading.Event) -> None:
    """Judge until stopping is set, then give what is under way a moment to come back."""
    judges = Judges(parallel=settings.JUDGE_PARALLEL)
    clean_at = time.monotonic()
    while not stopping.is_set():
        close_old_connections()
        started = time.monotonic()
        try:
            judges.start_due()
            if started >= clean_at:
                drop_in_doubt()
                clean_at = started + BETWEEN_CLEANINGS_S
        except Exception:  # such as a database that is away: the next tick
            logger.exception("judging.tick_failed")
            stopping.wait(TICK_S)
        stopping.wait(time.monotonic() - started)  # for as long as the database was at it
        judges.settle_back(wait_s=TICK_S)
    judges.finish(within_s=FINISH_WITHIN_S)

"""`manage.py run_evaluator`: looks at the rollouts and keeps evidence moving, until it is told to stop.

A process of its own, so that nothing slow (such as a long queue) ever delays a rollback. Any number
may run: each look is claimed by the database.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections

from common.stopping import until_told
from observability.ingest.writer import settle_held
from observability.services.scores import give_up_waiting_scores, join_waiting_scores
from rollout.evaluation import discard_leftovers, evaluate_due
from rollout.work import beat, forget_hosts

logger = logging.getLogger(__name__)

TICK_S = 0.5
TICKS_BETWEEN_REPAIRS = 6
TICKS_BETWEEN_CLEANINGS = 120


class Command(BaseCommand):
    help = "Look at active rollouts and act on their verdicts, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        until_told(run)


def run(stopping: threading.Event) -> None:
    """Tick until stopping is set."""
    tick = 0
    while not stopping.wait(TICK_S):
        close_old_connections()
        _guarded(evaluate_due)
        if tick % TICKS_BETWEEN_REPAIRS == 0:
            for repair in (beat, join_waiting_scores, settle_held):
                _guarded(repair)
        if tick % TICKS_BETWEEN_CLEANINGS == 0:
            for cleaning in (discard_leftovers, give_up_waiting_scores, forget_hosts):
                _guarded(cleaning)
        tick += 1


def _guarded(work: Callable[[], object]) -> None:
    """A failure of one tick, such as a database that is away, is logged and must not end the loop."""
    try:
        work()
    except Exception:
        logger.exception("evaluator.tick_failed", extra={"work": work.__name__})

"""Watching: what no rollout is looking at, checked every minute, once the series of that minute are written.

Each check looks at everything of its kind, fires the alerts of what it finds and resolves those of what it does not
find any more (services.alerts). A check that fails is logged and keeps none of the others from its turn; one that
takes long is followed by those that it kept waiting, at the latest in the next minute.
"""

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from django.db.models import Q

from common.clock import now
from observability.models import Watch
from observability.watching import anomalies, baselines, budgets, judging, objectives, series

Check = Callable[[], None]
CHECKS: tuple[Check, ...] = (baselines.check, objectives.check, judging.check, budgets.check, anomalies.check)
"""What each part of this package calls `check`: it reads what it needs, and writes alerts and nothing else. It should
take a second, and must stop by itself after MOST_SECONDS_EACH."""

MOST_SECONDS = 25.0  # of which no further check begins; with the series before them less than a task may take
MOST_SECONDS_EACH = 10.0
LEASE = timedelta(seconds=90)  # longer than the cluster lets a task live, so that two never watch at once

logger = logging.getLogger(__name__)


def write_and_watch() -> int:
    """Every minute's task: the series first, else what the checks say of them would be a minute late."""
    try:
        series.write()
    except Exception:  # what is watched of other things does not need them
        logger.exception("watch.series_failed")
    return watch()


def watch() -> int:
    """Run the checks, unless somebody else does; answers how many had their turn."""
    lease = now() + LEASE
    Watch.objects.get_or_create(pk=1)
    free = Q(leased_until=None) | Q(leased_until__lte=now())
    if not Watch.objects.filter(free, pk=1).update(leased_until=lease):
        return 0
    stop_at = time.monotonic() + MOST_SECONDS
    done = 0
    try:
        in_turn = _in_turn(Watch.objects.get(pk=1).begin_with)
        for check in in_turn:
            if time.monotonic() > stop_at:
                break
            _run(check)
            done += 1
        waiting = _name(in_turn[done]) if done < len(in_turn) else ""
        Watch.objects.filter(pk=1).update(begin_with=waiting)
    finally:
        Watch.objects.filter(pk=1, leased_until=lease).update(leased_until=None)
    return done


def _in_turn(begin_with: str) -> list[Check]:
    names = [_name(check) for check in CHECKS]
    first = names.index(begin_with) if begin_with in names else 0
    return [*CHECKS[first:], *CHECKS[:first]]


def _run(check: Check) -> None:
    began = time.monotonic()
    try:
        check()
    except Exception:  # one that fails must not keep the others from watching
        logger.exception("watch.check_failed", extra={"check": _name(check)})
    took_s = time.monotonic() - began
    if took_s > MOST_SECONDS_EACH:
        logger.warning("watch.check_slow", extra={"check": _name(check), "took_s": round(took_s, 1)})


def _name(check: Check) -> str:
    return check.__module__.rpartition(".")[2]

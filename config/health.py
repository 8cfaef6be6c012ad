"""Is this process alive, and can it work? For supervisors, load balancers and container platforms."""

import logging
from functools import cache

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse

from common.errors import Unavailable
from common.requests import only_read
from rollout.serving import snapshot_cache

logger = logging.getLogger(__name__)


@only_read
def livez(request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all; asks nothing else, so that a lost database restarts nobody."""
    return JsonResponse({"status": "alive"})


@only_read
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when the database answers and has every migration of this code, else 503 that says what is missing.

    Without the database, 200 and `degraded` as long as prompts are served from the last known state: a load balancer
    that took every host out for that would make the outage complete. Migrations that this code does not know are no
    obstacle: old code runs on the new schema.
    """
    state_age_s = serving_state_age_s()
    if state_age_s:
        return _degraded(state_age_s)
    try:
        missing = missing_migrations()
    except DatabaseError as error:
        logger.warning("health.database_unavailable", extra={"error": str(error)})
        if state_age_s is None:
            raise Unavailable("database_unavailable", "The database does not answer") from error
        return _degraded(state_age_s)
    if missing:
        raise Unavailable("not_migrated", f"Run `manage.py migrate`; the database lacks {', '.join(missing)}")
    if state_age_s is None:
        raise Unavailable("no_state_yet", "This process has not read what it is to serve")
    return JsonResponse({"status": "ready"})


def serving_state_age_s() -> int | None:
    """For how long the state that is served has been stale, 0 when it is fresh, None without one."""
    try:
        return snapshot_cache.cache.current()[1] or 0
    except Unavailable:
        return None


def _degraded(state_age_s: int) -> HttpResponse:
    return JsonResponse({"status": "degraded", "reason": "database_unavailable", "state_age_s": state_age_s})


def missing_migrations() -> list[str]:
    """Of this code's migrations those that the database lacks, `app.name` each. Raises what the database raises."""
    missing = known_migrations() - set(MigrationRecorder(connection).applied_migrations())
    return [f"{app}.{name}" for app, name in sorted(missing)]


@cache
def known_migrations() -> frozenset[tuple[str, str]]:
    """(app, name) of every migration file of the installed apps."""
    return frozenset(MigrationLoader(None).disk_migrations)

"""Is this process alive, and can it work? For supervisors, load balancers and container platforms."""

import logging
from functools import cache

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from common.errors import Unavailable

logger = logging.getLogger(__name__)


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all; asks nothing else, so that a lost database restarts nobody."""
    return JsonResponse({"status": "alive"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when the database answers and has every migration of this code, else 503 that says what is missing.

    Migrations that this code does not know are no obstacle: old code runs on the new schema.
    """
    try:
        missing = known_migrations() - set(MigrationRecorder(connection).applied_migrations())
    except DatabaseError as error:
        logger.warning("health.database_unavailable", extra={"error": str(error)})
        raise Unavailable("database_unavailable", "The database does not answer") from error
    if missing:
        names = ", ".join(f"{app}.{name}" for app, name in sorted(missing))
        raise Unavailable("not_migrated", f"Run `manage.py migrate`; the database lacks {names}")
    return JsonResponse({"status": "ready"})


@cache
def known_migrations() -> frozenset[tuple[str, str]]:
    """(app, name) of every migration file of the installed apps."""
    return frozenset(MigrationLoader(None).disk_migrations)

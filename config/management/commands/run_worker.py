"""`manage.py run_worker`: all background work of a host, for installations whose web servers run apart from it.

Any number may run, on any number of hosts: what there is to do is claimed in the database.
"""

import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from config.checks import SETTINGS
from config.health import missing_migrations
from config.programs import BACKGROUND, environment
from config.supervisor import NotStarted, Supervisor

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Run background work, evaluator and webhook sender until SIGTERM or Ctrl-C; `serve` runs everything."
    requires_system_checks = [SETTINGS]

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            Supervisor(BACKGROUND, environment()).run(
                prepared=Migrations().are_there, answers=lambda: True, on_ready=self.say_ready
            )
        except NotStarted as error:
            raise CommandError(str(error)) from error

    def say_ready(self) -> None:
        self.stdout.write("Serinus' worker is ready")
        self.stdout.flush()


class Migrations:
    """Whether somebody has migrated the database. A worker does not do it itself: its code may be ahead of others'."""

    def __init__(self) -> None:
        self._told = False

    def are_there(self) -> bool:
        try:
            missing = missing_migrations()
        except DatabaseError as error:
            return self._not_yet(str(error))
        finally:
            connection.close()
        return not missing or self._not_yet(", ".join(missing))

    def _not_yet(self, why: str) -> bool:
        if not self._told:
            logger.warning("worker.not_migrated", extra={"missing": why})
            self._told = True
        return False

"""`manage.py serve`: all of Serinus by one command.

While the database is away it serves prompts from the last known state, if there is one, and starts the rest later.
"""

import http.client
import logging
from argparse import ArgumentParser
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as AnyDatabaseError
from django.db import OperationalError, connection

from config.checks import SETTINGS
from config.listening import Address, Taken, add_arguments, require_free, settle
from config.programs import BACKGROUND, environment, web
from config.supervisor import NotStarted, Supervisor

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Migrate, then run web server, background work, evaluator and webhook sender until SIGTERM or Ctrl-C."
    requires_system_checks: list[str] = []  # handle() has them run when the address is among the settings

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, host: IPv4Address | IPv6Address, port: int, workers: int, **options: Any) -> None:
        address = Address(host, port)
        settle(address)
        self.check(tags=[SETTINGS])
        try:
            require_free(address)
            migrated = migrated_unless_away()
            supervisor = Supervisor([web(address, workers), *BACKGROUND], environment())
            supervisor.run(
                prepared=lambda: migrated or is_migrated(),
                answers=lambda: answers(address),
                on_ready=lambda: self.say_ready(address),
            )
        except (Taken, NotStarted) as error:
            raise CommandError(str(error)) from error

    def say_ready(self, address: Address) -> None:
        self.stdout.write(f"Serinus is ready at {address.url}, its data in {connection.settings_dict['NAME']}")
        self.stdout.flush()


def migrated_unless_away() -> bool:
    """Whether the database is migrated. While it is away, False when there is a last state that can be served."""
    try:
        migrate()
    except OperationalError as error:
        if not settings.SERVING_STATE.exists():
            raise CommandError(f"The database does not answer: {error}") from error
        logger.warning("serve.database_away", extra={"error": str(error)})
        return False
    return True


def is_migrated() -> bool:
    try:
        migrate()
    except OperationalError:  # it is still away
        return False
    except AnyDatabaseError as error:  # such as a connection that is lost at the wrong moment: prompts are served on
        logger.error("serve.migration_failed", extra={"error": str(error)})
        return False
    return True


def migrate() -> None:
    try:
        call_command("migrate", interactive=False, verbosity=0)
    finally:
        connection.close()


def answers(address: Address) -> bool:
    """Whether /readyz answers 200 there."""
    with closing(http.client.HTTPConnection(address.host.strip("[]"), address.port, timeout=1)) as web:
        try:
            web.request("GET", "/readyz")
            return web.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

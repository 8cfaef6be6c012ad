"""`manage.py create_key NAME --scopes read,ingest` prints a new API key alone on standard output."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from common.actors import COMMAND_LINE
from common.errors import Invalid
from registry.models import ApiKey, Scope
from registry.services import issue_key


class Command(BaseCommand):
    help = "Make an API key and print it. It is shown this one time: only its hash is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="whose key it is, for people to tell keys apart")
        parser.add_argument("--scopes", required=True, help=f"separated by commas, of {', '.join(Scope.values)}")

        parser.add_argument("--prompt-prefix", default="", help="it sees only prompts whose names begin with this")
        parser.add_argument(
            "--label", action="append", default=[], dest="labels", help="it may use only this label; may be given again"
        )
        parser.add_argument("--expires", type=_moment, help="when it ends: 2027-01-31, or 2027-01-31T14:05Z (UTC)")

    def handle(self, *args: Any, name: str, scopes: str, **options: Any) -> None:
        if ApiKey._meta.db_table not in connection.introspection.table_names():
            call_command("migrate", interactive=False, verbosity=0)  # a key may be the first thing that anyone makes
        wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
        try:
            _, text = issue_key(
                name=name,
                scopes=wanted,
                prompt_prefix=options["prompt_prefix"],
                labels=options["labels"],
                expires_at=options["expires"],
                actor=COMMAND_LINE,
            )
        except Invalid as error:
            raise CommandError(error.detail) from error
        self.stdout.write(text)


def _moment(written: str) -> datetime:
    try:
        moment = datetime.fromisoformat(written)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ArgumentTypeError(f"expected a date or a time in ISO 8601, got {written}") from error

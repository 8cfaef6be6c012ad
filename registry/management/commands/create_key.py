"""`manage.py create_key NAME --scopes read,ingest` prints a new API key alone on standard output."""

from argparse import ArgumentParser
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

    def handle(self, *args: Any, name: str, scopes: str, **options: Any) -> None:
        if ApiKey._meta.db_table not in connection.introspection.table_names():
            call_command("migrate", interactive=False, verbosity=0)  # a key may be the first thing that anyone makes
        wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
        try:
            _, text = issue_key(name=name, scopes=wanted, actor=COMMAND_LINE)
        except Invalid as error:
            raise CommandError(error.detail) from error
        self.stdout.write(text)

"""`manage.py backup FOLDER` keeps the database, the secret key and the served state, while everything runs."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.backups import Refused, back_up


class Command(BaseCommand):
    help = "Back up into a new folder; the service may go on running."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="must not exist yet")

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        try:
            back_up(folder)
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Backed up to {folder}")

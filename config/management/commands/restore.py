"""`manage.py restore FOLDER` makes the database, the secret key and the served state what a backup holds."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.backups import Refused, restore


class Command(BaseCommand):
    help = "Restore a backup into an empty installation. Stop all processes first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="that `backup` has made")
        parser.add_argument("--overwrite", action="store_true", help="what the database holds now is lost")

    def handle(self, *args: Any, folder: Path, overwrite: bool, **options: Any) -> None:
        try:
            restore(folder, overwrite=overwrite)
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Restored from {folder}; run `manage.py migrate` when this code is newer than the backup")

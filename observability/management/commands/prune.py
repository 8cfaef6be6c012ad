"""`manage.py prune` deletes what is older than it is kept, and says how much; `--dry-run` only says it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from observability.retention import count, kinds, prune


class Command(BaseCommand):
    help = "Delete what is older than it is kept (SERINUS_KEEP_…). The worker does the same every hour."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say how much there is to delete")

    def handle(self, *args: Any, **options: Any) -> None:
        found = count() if options["dry_run"] else prune()[0]
        verb = "would delete" if options["dry_run"] else "deleted"
        for kind in kinds():
            hours = kind.keep.total_seconds() / 3_600
            age = f"{hours / 24:g} days" if hours >= 24 else f"{hours:g} hours"
            self.stdout.write(f"{verb} {found[kind.name]} {kind.name} older than {age}")

"""`manage.py export_audit --since 2026-11-01 --format csv` writes the audit trail to standard output."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from registry.audit import entries
from registry.audit_export import FORMATS


class Command(BaseCommand):
    help = "Write the audit trail to standard output, the oldest entry first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", type=_moment, help="only entries from then on, such as 2026-11-01T08:00Z")
        parser.add_argument("--format", choices=FORMATS, default="jsonl", help="(%(default)s)")

    def handle(self, *args: Any, since: datetime | None, format: str, **options: Any) -> None:  # noqa: A002 (the option's name)
        for line in FORMATS[format](entries(since=since)):
            self.stdout.write(line, ending="")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"expected a time such as 2026-11-01T08:00Z, got {text!r}") from None

"""`manage.py reprice` prices stored calls anew: after an override was added, or the price table has become newer."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

from observability.services.prices import Repriced, reprice


class Command(BaseCommand):
    help = "Price stored calls anew by today's overrides and price table. Evidence that was counted stays as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", type=moment, help="calls that started then or later; ISO 8601")
        parser.add_argument("--until", type=moment, help="calls that started before that")
        parser.add_argument("--prompt", help="calls of this prompt")
        parser.add_argument("--model", help="calls that asked for this model, or that it answered")
        parser.add_argument("--dry-run", action="store_true", help="write nothing, say what would change")

    def handle(self, *args: Any, **options: Any) -> None:
        done = Repriced()
        chosen = {name: options[name] for name in ("since", "until", "prompt", "model", "dry_run")}
        for batch in reprice(**chosen):
            done.add(batch)
        self.stdout.write("\n".join(lines(done, dry_run=options["dry_run"])))


def lines(done: Repriced, *, dry_run: bool) -> list[str]:
    verb = "would change" if dry_run else "changed"
    return [
        f"{done.changed} of {done.calls} calls {verb}, in {len(done.hours)} hours: together from {done.before:f} to "
        f"{done.after:f} USD.",
        f"{done.unpriced} calls with tokens have no price.",
        "Evidence that rollouts have already counted stays as it is.",
    ]


def moment(text: str) -> datetime:
    """A day or a time in ISO 8601, UTC where it names no zone."""
    try:
        found = parse_datetime(text)
        found = found and (make_aware(found) if is_naive(found) else found).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ArgumentTypeError(f"{text} is no date: {error}") from error
    if found is None:
        raise ArgumentTypeError(f"expected a date such as 2026-11-26 or 2026-11-26T08:00Z, got {text}")
    return found

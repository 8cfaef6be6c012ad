"""`manage.py explain_verdict ID` recomputes a stored verdict and says in words and numbers why it is what it is."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.errors import DomainError
from rollout.explanation import explain
from rollout.explanation_json import explanation_json
from rollout.explanation_words import lines


class Command(BaseCommand):
    help = "Recompute a stored verdict and say why it is what it is; fails when the outcome is not what is stored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, help="of the verdict, as GET /api/v1/rollouts/{id}/verdicts lists them")
        parser.add_argument("--json", action="store_true", help="everything that is needed to recompute it by hand")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            explained = explain(options["id"])
        except DomainError as error:
            raise CommandError(error.detail) from error
        if options["json"]:
            self.stdout.write(json.dumps(explanation_json(explained), indent=2))
        else:
            self.stdout.write("\n".join(lines(explained)).rstrip())
        if explained.differences:
            raise CommandError(f"{len(explained.differences)} recomputed values are not what is stored.")

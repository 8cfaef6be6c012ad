"""`manage.py replay ROLLOUT --plan FILE`: what would another plan have decided on a rollout's evidence, and when?"""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.errors import DomainError
from rollout.formats import plain
from rollout.replay import replay
from rollout.replay_words import lines, replay_json


class Command(BaseCommand):
    help = "Run another plan over the stored evidence of a rollout: what would it have decided, and when?"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("rollout", help="the id of the rollout whose evidence it is")
        parser.add_argument(
            "--plan", required=True, type=Path, help="a file with the plan, as POST /api/v1/rollouts takes it"
        )
        parser.add_argument("--json", action="store_true", help="with the whole verdict of each change")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            replayed = replay(rollout_id=options["rollout"], written=_read(options["plan"]))
        except DomainError as error:
            raise CommandError(error.detail) from error
        if options["json"]:
            self.stdout.write(json.dumps(replay_json(replayed), indent=2))
        else:
            self.stdout.write("\n".join(plain(line) for line in lines(replayed)))


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path} is not JSON: {error}") from error

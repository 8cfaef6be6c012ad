"""`manage.py export_prompts [NAME…] --to FOLDER` writes one file a prompt, with all its versions and labels."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.errors import DomainError
from registry import selectors
from registry.file_formats import written
from registry.representation import exported_json


class Command(BaseCommand):
    help = "Write prompts to files, one each, with all their versions and labels; without names all that are served."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME")
        parser.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="made when it is not there")
        parser.add_argument("--format", choices=["json", "yaml"], default="json", help="default: json")

    def handle(self, *args: Any, names: list[str], to: Path, **options: Any) -> None:
        try:
            prompts = [selectors.find_prompt(name) for name in names] or selectors.prompts().order_by("name")
            to.mkdir(parents=True, exist_ok=True)
            for prompt in prompts:
                path, exported = to / f"{prompt.name}.{options['format']}", exported_json(prompt)
                path.write_text(written(exported, options["format"]), encoding="utf-8", newline="\n")
                self.stdout.write(f"{path}: {len(exported['versions'])} versions")
        except (DomainError, OSError) as error:
            raise CommandError(str(error)) from error
        if not names and (archived := selectors.prompts(archived=True).count()):
            self.stdout.write(f"{archived} archived prompts were left out")

"""`manage.py import_prompts PATH…` brings in prompts from files that export_prompts wrote, or that people did."""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.actors import COMMAND_LINE
from common.errors import DomainError
from registry.core.prompt_file import read_prompt_file
from registry.file_formats import SUFFIXES, read_file
from registry.services import Imported, import_prompt
from registry.services.imports import LabelOutcome
from registry.services.refusals import problems_refused


class Command(BaseCommand):
    help = "Publish what files of prompts hold and is not here yet. Each file is taken whole or not at all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files, or folders of them")
        parser.add_argument("--move-labels", action="store_true", help="point the labels where the files say")
        parser.add_argument("--dry-run", action="store_true", help="only say what would come of it")

    def handle(self, *args: Any, paths: list[Path], move_labels: bool, dry_run: bool, **options: Any) -> None:
        files = [file for path in paths for file in _files(path)]
        refused = 0
        for file in files:
            try:
                with problems_refused():
                    prompt = read_prompt_file(read_file(file))
                imported = import_prompt(file=prompt, move_labels=move_labels, dry_run=dry_run, actor=COMMAND_LINE)
            except (DomainError, OSError) as error:
                refused += 1
                self.stderr.write(f"{file}: refused: {error}")
            else:
                self.stdout.write(f"{file}: {'; '.join(_told(imported, dry_run))}")
        if refused or not files:
            raise CommandError(f"{refused} of {len(files)} files were refused" if files else "There are no files there")


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)


def _told(imported: Imported, dry_run: bool) -> Iterator[str]:
    would = "would be " if dry_run else ""
    if not imported.has_changed:
        yield "nothing is new"
    if imported.is_new:
        yield f"{imported.prompt} {would}made"
    if published := [version.number for version in imported.versions if version.is_new]:
        yield f"{', '.join(published)} {would}published"
    for outcome, verb in ((LabelOutcome.MOVED, f"{would}moved"), (LabelOutcome.LEFT, "left (--move-labels moves)")):
        if labels := [label for label, came_of_it in imported.labels.items() if came_of_it == outcome]:
            yield f"labels {verb}: {', '.join(labels)}"
    if imported.differs:
        yield f"left as here: {', '.join(imported.differs)}"

"""`manage.py install_evaluators [NAME…] --model MODEL` publishes the judges that come with Serinus."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.actors import COMMAND_LINE
from common.errors import DomainError
from observability.judging.ready_made import READY_MADE, Installed, install


class Command(BaseCommand):
    help = "Publish the judges that come with Serinus, as prompts and evaluators. What is there already stays as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        known = ", ".join(READY_MADE)
        parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {known}; all without any")
        parser.add_argument("--model", required=True, help="that is asked, as the judge's API calls it")
        parser.add_argument("--provider", default="openai", help="by whose prices its cost is known")

    def handle(self, *args: Any, names: list[str], model: str, provider: str, **options: Any) -> None:
        if unknown := sorted(set(names) - set(READY_MADE)):
            raise CommandError(f"There is no {', '.join(unknown)}: expected some of {', '.join(READY_MADE)}")
        refused = 0
        for name in names or READY_MADE:
            try:
                installed = install(name=name, model=model, provider=provider, actor=COMMAND_LINE)
            except DomainError as error:
                refused += 1
                self.stderr.write(f"{name}: refused: {error}")
            else:
                self.stdout.write(_told(installed))
        if refused:
            raise CommandError(f"{refused} of {len(names or READY_MADE)} were refused")


def _told(installed: Installed) -> str:
    version = installed.version
    if not installed.is_new:
        return f"{version} is there already, and stays"
    return f"{version} was published: asked by {version.template and version.template.ref}"

"""docs/how-to/move-prompts.md says what happens: its commands are run as they stand there."""

import io
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django.live_server_helper import LiveServer

from registry.models import Label
from tests import make
from tests.docs.blocks import shell_blocks

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "move-prompts.md").read_text()
BLOCKS = [block for block in shell_blocks("docs/how-to/move-prompts.md") if block.language == "console"]
MANAGE = ".venv/bin/python manage.py "
GIVEN_HERE = re.compile(r"(?<=sha256: ).*|(?<=published_at: ).*")


@pytest.fixture(autouse=True)
def _greeter(live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's prompt, its variables, and an empty folder."""
    prompt, config = make.prompt("greeter"), {"model": "gpt-4o-mini"}
    make.label(make.version(prompt, template="Greet {{ name }}.", config=config))
    make.version(prompt, template="Greet {{ name }} warmly.\nOne sentence.\n", config=config)
    monkeypatch.chdir(tmp_path)
    for name in ("SERINUS", "OTHER"):
        monkeypatch.setenv(name, live_server.url)
    monkeypatch.setenv("KEY", make.key("read"))
    monkeypatch.setenv("OTHER_KEY", make.key("write"))


def commands() -> Iterator[tuple[str, str]]:
    """Each command of the page, and what it is said to print."""
    for block in BLOCKS:
        yield from block.commands


def run(command: str) -> str:
    """manage.py here, where the test's database is; anything else in a shell."""
    if command.startswith(MANAGE):
        output = io.StringIO()
        call_command(*shlex.split(command.removeprefix(MANAGE)), stdout=output)
        return output.getvalue()
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=30).stdout


def test_commands__print_what_the_page_shows_and_do_what_it_says() -> None:
    shown = list(commands())

    assert len(shown) == 7
    for command, printed in shown:
        assert run(command).strip() == printed.strip(), command
    assert Label.objects.get(prompt__name="welcome", name="production").version.number == "v1.0"


def test_file__written_as_the_page_shows_it() -> None:
    run(next(commands())[0])

    (shown,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    written = Path("prompt-files/greeter.yaml").read_text()
    assert GIVEN_HERE.sub("", written) == GIVEN_HERE.sub("", shown)

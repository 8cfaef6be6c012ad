"""docs/reference says what there is: every setting, every check and every command, and none that is gone."""

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import find_commands

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
OURS = ("common", "config", "registry", "observability", "rollout")


@pytest.fixture(scope="module")
def settings_page() -> str:
    return (REFERENCE / "settings.md").read_text()


def in_first_column(page: str, pattern: str) -> set[str]:
    return set(re.findall(rf"^\| `({pattern})` \|", page, re.MULTILINE))


def test_settings_page__names_what_is_read(settings_page: str) -> None:
    sources = [(ROOT / "config" / name).read_text() for name in ("settings.py", "env.py")]
    read = set(re.findall(r'"(SERINUS_[A-Z_]+|DATABASE_[A-Z_]*URL)"', "".join(sources)))

    assert in_first_column(settings_page, "[A-Z_]+") == read


def test_settings_page__names_the_checks(settings_page: str) -> None:
    made = set(re.findall(r'id="(serinus\.[EW]\d+)"', (ROOT / "config" / "checks.py").read_text()))

    assert in_first_column(settings_page, r"serinus\.[EW]\d+") == made


def test_commands_page__names_every_command() -> None:
    page = (REFERENCE / "commands.md").read_text()
    headings = set(re.findall(r"\w+", " ".join(re.findall(r"^##+ (.+)$", page, re.MULTILINE))))
    commands = {
        command for name in OURS for command in find_commands(str(Path(apps.get_app_config(name).path) / "management"))
    }

    assert commands <= headings

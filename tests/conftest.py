"""Where the tests run: SQLite by default, a real PostgreSQL of their own with `--postgres`."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ["SERINUS_DATA_DIR"] = tempfile.mkdtemp(prefix="serinus-tests-")
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
SERVER: list[Any] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", action="store_true", help="run on a PostgreSQL started for this run")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    pass


def shared() -> Path:
    """The recorded bodies and reference values shared between the project's parts, or their copy under tests/."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared"
    return beside if beside.is_dir() else Path(__file__).resolve().parent / "shared"


@pytest.fixture(autouse=True)
def _fast_passwords(settings: Any) -> Iterator[None]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    yield

"""Settings that are wrong together are found before anything starts."""

import subprocess
import sys

import pytest
from django.contrib import admin
from django.core.checks import run_checks
from django.db import connections
from pytest_django.fixtures import Settings

from config import urls


@pytest.fixture(autouse=True)
def _as_at_first_start(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]  # the test runner added its own


def found() -> set[str | None]:
    return {message.id for message in run_checks() if (message.id or "").startswith("serinus.")}


def test_checks__defaults__nothing_found_in_settings_or_code() -> None:
    assert run_checks() == []


def test_checks__short_secret_key__error(settings: Settings) -> None:
    settings.SECRET_KEY = "short"

    assert found() == {"serinus.E001"}


def test_checks__postgresql_and_a_key_of_this_folder__warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections["default"], "vendor", "postgresql")
    assert found() == {"serinus.W004"}

    monkeypatch.setenv("SERINUS_SECRET_KEY", "the same on all hosts, and long enough")
    assert found() == set()


def test_checks__limit_that_cannot_be_reached__error(settings: Settings) -> None:
    settings.MAX_BODY_BYTES = settings.MAX_DECOMPRESSED_BYTES + 1

    assert found() == {"serinus.E002"}


def test_checks__reachable_by_others_with_local_settings__three_warnings(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["localhost", "serinus.example.org"]
    settings.DEBUG = True

    assert found() == {"serinus.W001", "serinus.W002", "serinus.W003"}


@pytest.mark.parametrize("hosts", [["localhost", "127.0.0.1", "[::1]"], ["serinus.example.org"]])
def test_checks__settings_that_agree__nothing_found(settings: Settings, hosts: list[str]) -> None:
    settings.ALLOWED_HOSTS = hosts
    settings.STATUS_PAGES = "login"
    settings.BASE_URL = "https://serinus.example.org"

    assert found() == set()


def test_checks__in_a_process_that_has_no_addresses__the_admin_is_checked_all_the_same() -> None:
    registered = "django.setup(); run_checks(tags=['admin']); print(len(site._registry))"
    assert urls.urlpatterns  # here they are loaded
    imports = "import django; from django.contrib.admin import site; from django.core.checks import run_checks; "

    done = subprocess.run([sys.executable, "-c", imports + registered], capture_output=True, text=True, check=True)

    assert int(done.stdout) == len(admin.site._registry) > 0

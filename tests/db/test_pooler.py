"""Behind a pooler of transactions nothing is kept in a connection that outlives one."""

import os
import subprocess
import sys
from threading import Event

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from registry.sequences import wait_for_generation

pytestmark = pytest.mark.django_db

SHOW = """
from django.conf import settings
direct = settings.DATABASE_DIRECT
print(settings.DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"], direct and direct["HOST"])
"""


@pytest.mark.parametrize(
    ("direct", "shown"), [("postgres://serinus@postgres/serinus", "True postgres"), ("", "False None")]
)
def test_settings__direct_address__no_server_side_cursors(direct: str, shown: str) -> None:
    env = os.environ | {"DATABASE_URL": "postgres://serinus@pgbouncer:6432/serinus", "DATABASE_DIRECT_URL": direct}

    run = subprocess.run([sys.executable, "-c", SHOW], env=env, capture_output=True, text=True, check=True)

    assert run.stdout.strip() == shown


def test_wait_for_generation__direct_address__asks_instead_of_listening(
    settings: Settings, django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Event()
    stop.set()
    monkeypatch.setattr(connection, "vendor", "postgresql")
    settings.DATABASE_DIRECT = {"HOST": "postgres"}

    with django_assert_num_queries(0):
        wait_for_generation(stop)

"""`manage.py serve`'s own steps."""

import logging

import pytest
from django.db import Error as AnyDatabaseError
from django.db import InterfaceError, OperationalError, ProgrammingError

from config.management.commands import serve


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (OperationalError("away"), []),
        (InterfaceError("the connection is closed"), ["serve.migration_failed"]),
        (ProgrammingError("permission denied"), ["serve.migration_failed"]),
    ],
)
def test_is_migrated__database_fails__tried_again(
    error: AnyDatabaseError, logged: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error

    caplog.set_level(logging.INFO)
    monkeypatch.setattr(serve, "migrate", fail)
    assert not serve.is_migrated()
    assert [record.getMessage() for record in caplog.records] == logged

    monkeypatch.setattr(serve, "migrate", lambda: None)
    assert serve.is_migrated()

"""One line an event, and nothing in it that could name a user."""

import logging
from io import StringIO

import pytest
from django.test import Client, RequestFactory

from common.logs import EventFormatter


def test_format__fields__after_the_event() -> None:
    record = logging.makeLogRecord(
        {"name": "rollout.services", "levelname": "INFO", "msg": "rollout.rolled_back", "rollout": "rol_1", "step": 0}
    )

    assert EventFormatter().format(record).endswith('INFO rollout.services rollout.rolled_back rollout="rol_1" step=0')


def test_format__request_among_the_fields__left_out() -> None:
    request = RequestFactory().get("/prompts/order-extractor?unit=anna@example.org")

    assert "anna" not in EventFormatter().format(logging.makeLogRecord({"msg": "Not Found", "request": request}))


def test_refused_request__not_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    assert client.get("/nowhere?unit=anna@example.org").status_code == 404

    assert caplog.text == ""


def test_foreign_host__refused__one_line(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    (console,) = (handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler)
    monkeypatch.setattr(console, "stream", written := StringIO())

    assert client.get("/livez", headers={"Host": "evil.example"}).status_code == 400

    assert written.getvalue().count("\n") == 1
    assert "Invalid HTTP_HOST header: 'evil.example'" in written.getvalue()

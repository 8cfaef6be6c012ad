"""One line an event, and nothing in it that could name a user."""

import json
import logging
import os
import subprocess
import sys
from io import StringIO

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from common.logs import EventFormatter, JsonFormatter
from common.requests import RequestIdMiddleware


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


def test_json_format__exception_and_fields__one_object_on_one_line() -> None:
    record = logging.makeLogRecord(
        {"name": "rollout.evaluation", "levelname": "ERROR", "msg": "evaluation.failed", "created": 1_764_144_000.25}
    )
    record.rollout, record.level = "rol_1", "a field of that name"
    record.exc_info = (ValueError, ValueError("two\nlines"), None)

    (line,) = JsonFormatter().format(record).splitlines()

    assert json.loads(line) == {
        "at": "2025-11-26T08:00:00.250Z",
        "level": "ERROR",
        "logger": "rollout.evaluation",
        "event": "evaluation.failed",
        "rollout": "rol_1",
        "level_": "a field of that name",
        "traceback": "ValueError: two\nlines",
    }


@pytest.mark.parametrize("formatter", [EventFormatter(), JsonFormatter()], ids=["text", "json"])
def test_format__inside_a_request__its_id_is_said(formatter: logging.Formatter) -> None:
    lines = []

    def answer(request: HttpRequest) -> HttpResponse:
        lines.append(formatter.format(logging.makeLogRecord({"msg": "prompt.created"})))
        return HttpResponse()

    RequestIdMiddleware(answer)(RequestFactory().get("/", headers={"X-Request-Id": "abc-1"}))
    lines.append(formatter.format(logging.makeLogRecord({"msg": "prompt.created"})))

    assert ["abc-1" in line for line in lines] == [True, False]


LOGGING_AT_START = """
import logging, django
django.setup()
logging.getLogger("tests").warning("tests.happened", extra={"n": 1})
"""


def test_log_format__json__what_a_process_writes() -> None:
    env = os.environ | {"SERINUS_LOG_FORMAT": "json"}

    run = subprocess.run([sys.executable, "-c", LOGGING_AT_START], env=env, capture_output=True, text=True, check=True)

    assert json.loads(run.stderr).items() >= {"event": "tests.happened", "n": 1, "level": "WARNING"}.items()


def test_foreign_host__refused__one_line(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    (console,) = (handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler)
    monkeypatch.setattr(console, "stream", written := StringIO())

    assert client.get("/livez", headers={"Host": "evil.example"}).status_code == 400

    assert written.getvalue().count("\n") == 1
    assert "Invalid HTTP_HOST header: 'evil.example'" in written.getvalue()

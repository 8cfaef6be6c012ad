"""What becomes of reports when the server, the network or the app does what it likes."""

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy
import pytest
from opentelemetry.sdk.trace import TracerProvider

from serinus import answers, delivery, lane, outbox, stamping
from serinus.asking import Server
from serinus.reports import Reports
from tests.process.server import free_port, wait_until
from tests.sdk.server import Certificate, Reply, ReportServer, dripping_server, problem, refusing, report_server

KEY = "ser_secret"
EXPOSURE = "rol_1:0:canary:182"
ROLLED_OUT = {
    "gen_ai.prompt.name": "order-extractor",
    "gen_ai.prompt.version": "v2.3",
    "serinus.label": "production",
    "serinus.exposure": EXPOSURE,
}


class Assigned(stamping.Stamping):
    """A prompt as far as reports know it."""

    def __init__(self, **more: str) -> None:
        self._trace = {**ROLLED_OUT, **more}

    @property
    def trace(self) -> dict[str, str]:
        return self._trace


class WithoutRollout(Assigned):
    @property
    def trace(self) -> dict[str, str]:
        return {name: value for name, value in self._trace.items() if name != "serinus.exposure"}


PROMPT = Assigned()


@pytest.fixture
def server() -> Iterator[ReportServer]:
    with report_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "GATHERED_FOR_S", 0.01)
    monkeypatch.setattr(answers, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(answers, "LONGEST_PAUSE_S", 0.02)


@pytest.fixture
def reports(server: ReportServer) -> Iterator[Reports]:
    made = Reports(Server(server.url), KEY)
    yield made
    made.close(0)


def give(reports: Reports, count: int = 1, **fields: Any) -> None:
    for number in range(count):
        reports.score(f"score-{number}", 1, response_id="chatcmpl-1", **fields)


def test_score__every_field__as_the_server_takes_it(reports: Reports, server: ReportServer) -> None:
    given = {"source": "judge", "label": "good", "comment": "ä", "evaluator": "gpt", "id": "mine", "span_id": "ab" * 8}

    reports.score("helpfulness", 0.9, trace_id="cd" * 16, **given)

    assert reports.flush(10)
    (request,) = server.requests
    assert request.path == "/api/v1/scores"
    assert request.authorization == f"Bearer {KEY}"
    assert request.items == [{"name": "helpfulness", "value": 0.9, "trace_id": "cd" * 16, **given}]


def test_score__no_id_and_no_source__one_of_its_own_and_the_user(reports: Reports, server: ReportServer) -> None:
    give(reports, 3)

    assert reports.flush(10)
    assert len(server.times_sent()) == 3
    assert {item["source"] for item in server.items} == {"user"}


def test_score__with_an_exposed_prompt__about_its_exposure(reports: Reports, server: ReportServer) -> None:
    reports.score("helpfulness", True, prompt=PROMPT)
    with PROMPT:
        reports.score("helpfulness", False)

    assert reports.flush(10)
    assert [(item["value"], item["exposure"]) for item in server.items] == [(1, EXPOSURE), (0, EXPOSURE)]


def test_score__after_an_llm_call_inside__about_that_call(reports: Reports, server: ReportServer) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    stamping.instrument(provider)
    tracer = provider.get_tracer("app")

    with tracer.start_as_current_span("POST /orders"), PROMPT:
        call = tracer.start_span("chat", attributes={"gen_ai.operation.name": "chat"})
        call.end()
        tracer.start_span("tool").end()
        reports.score("inside", 1)
        reports.score("prompt given", 1, prompt=PROMPT)
        reports.score("other prompt", 1, prompt=Assigned(**{"serinus.exposure": "rol_2:0:control:7"}))

    assert reports.flush(10)
    inside, given, other = server.items
    ids = stamping.ids_of(call)
    assert (inside["trace_id"], inside["span_id"]) == (given["trace_id"], given["span_id"]) == ids
    assert "exposure" not in inside
    assert (other["exposure"], other.get("span_id")) == ("rol_2:0:control:7", None)


def test_score__no_rollout_and_no_call_seen__about_the_active_trace(reports: Reports, server: ReportServer) -> None:
    """Not about its span: that is the app's own, and a score of a span which is no call finds none."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("app")

    with tracer.start_as_current_span("POST /orders") as span, WithoutRollout():
        reports.score("helpfulness", 1)

    assert reports.flush(10)
    (item,) = server.items
    assert item["trace_id"] == stamping.ids_of(span).trace_id
    assert "span_id" not in item


def test_score__about_nothing__refused_and_told_once(
    reports: Reports, server: ReportServer, caplog: pytest.LogCaptureFixture
) -> None:
    reports.score("helpfulness", 1)
    reports.score("helpfulness", 1, prompt=WithoutRollout())

    assert reports.flush(10)
    assert (reports.counts.refused, server.requests) == (2, [])
    (record,) = caplog.records
    assert "pass trace_id, span_id, response_id or exposure" in record.getMessage()


class Hostile:
    def __float__(self) -> float:
        raise RuntimeError("secret text")

    def __bool__(self) -> bool:
        raise RuntimeError("secret text")


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": math.nan},
        {"value": math.inf},
        {"value": object()},
        {"value": Hostile()},
        {"name": b"bytes"},
        {"trace_id": Hostile()},
        {"prompt": "order-extractor", "response_id": None},
        {"comment": "x" * 100_000},
        {"comment": {1, 2}},
        {"label": (loop := [], loop.append(loop))},
    ],
)
def test_score__that_cannot_be_sent__refused_never_raised_nor_quoted(
    wrong: dict[str, Any], reports: Reports, server: ReportServer, caplog: pytest.LogCaptureFixture
) -> None:
    reports.score(**{"name": "helpfulness", "value": 1, "response_id": "chatcmpl-1", **wrong})

    assert reports.flush(10)
    assert (reports.counts.refused, reports.counts.queued, server.requests) == (1, 0, [])
    assert len(caplog.records) == 1
    assert "secret text" not in caplog.text


def test_report__numbers_and_times_of_other_libraries__plain(reports: Reports, server: ReportServer) -> None:
    reports.score("helpfulness", numpy.float32(0.5), response_id="chatcmpl-1")
    reports.score("lone surrogate", Decimal("0.25"), response_id="chatcmpl-1", comment="\ud800")
    reports.call(input_tokens=numpy.int64(7), started_at=datetime(2026, 11, 26, tzinfo=UTC))

    assert reports.flush(10)
    first, second, call = sorted(server.items, key=lambda item: "input_tokens" in item)
    assert (first["value"], second["value"], second["comment"]) == (0.5, 0.25, "?")
    assert (call["input_tokens"], call["started_at"]) == (7, "2026-11-26T00:00:00+00:00")


def test_call__made_with_a_prompt__told_by_its_trace(reports: Reports, server: ReportServer) -> None:
    before = datetime.now(UTC)

    ids = reports.call(PROMPT, duration_ms=2000, output_tokens=None)

    assert reports.flush(10)
    (request,) = server.requests
    (item,) = request.items
    started_at = datetime.fromisoformat(item.pop("started_at"))
    assert -2 <= (started_at - before).total_seconds() < 28
    assert request.path == "/api/v1/calls"
    assert ids is not None
    assert item == {
        "prompt": "order-extractor",
        "version": "v2.3",
        "label": "production",
        "exposure": EXPOSURE,
        "duration_ms": 2000,
        "trace_id": ids.trace_id,
        "span_id": ids.span_id,
    }


def test_call__inside_and_by_name__as_told(reports: Reports, server: ReportServer) -> None:
    with PROMPT:
        reports.call()
        reports.call("greeter", version="v1.0")

    assert reports.flush(10)
    assert [(item["prompt"], item.get("exposure")) for item in server.items] == [
        ("order-extractor", EXPOSURE),
        ("greeter", None),
    ]


def test_call__then_a_score_inside__about_it(reports: Reports, server: ReportServer) -> None:
    with PROMPT:
        ids = reports.call(duration_ms=10)
        reports.call("greeter", version="v1.0")
        reports.score("helpfulness", 1)

    assert reports.flush(10)
    (score,) = [item for item in server.items if "value" in item]
    assert (score["trace_id"], score["span_id"]) == ids


def test_call__own_id_again__named_alike(reports: Reports) -> None:
    first, second = reports.call(id="order-4711"), reports.call(id="order-4711")

    assert first == second
    assert first != reports.call(id="order-4712")


@pytest.mark.parametrize(
    "reply",
    [
        *(problem(status, "unavailable") for status in (500, 502, 503, 408, 429, 401, 403)),
        *(Reply(status, b"<html>", {"Location": "/"}, "text/html") for status in (200, 301, 400, 404, 422)),
        problem(503, "unavailable", Retry_After="0"),
        problem(503, "unavailable", Retry_After="Thu, 26 Nov 2020 04:00:00 GMT"),
        problem(503, "unavailable", Retry_After="soon"),
        Reply(500, b"{", content_type="application/problem+json"),
        Reply(500, ["no problem"], content_type="application/problem+json"),
    ],
    ids=lambda reply: f"{reply.status} {reply.headers} {reply.type}",
)
def test_sending__answer_that_says_nothing_of_the_items__sent_again(
    reply: Reply, reports: Reports, server: ReportServer
) -> None:
    server.replies.extend([reply, reply])

    give(reports)

    assert reports.flush(10)
    assert [len(request.items) for request in server.requests] == [1, 1, 1]
    assert len(server.times_sent()) == 1
    assert (reports.counts.sent, reports.counts.refused, reports.counts.last_error) == (1, 0, None)
    assert {request.path for request in server.requests} == {"/api/v1/scores"}


def test_sending__wrong_key__kept_and_the_log_says_so_once(
    reports: Reports, server: ReportServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.rule = lambda _: problem(403, "wrong_scope")

    give(reports)
    wait_until(lambda: len(server.requests) >= 3, within_s=10)

    assert reports.counts.queued == 1
    assert reports.counts.last_error == "403 wrong_scope: …"
    (record,) = caplog.records
    assert record.getMessage() == "serinus: reports have to wait: 403 wrong_scope: …"
    assert KEY not in caplog.text


def test_sending__retry_after__not_before(reports: Reports, server: ReportServer) -> None:
    server.replies.append(problem(503, "unavailable", Retry_After="1"))

    began = time.monotonic()
    give(reports)
    wait_until(lambda: reports.counts.sent == 1, within_s=30)

    assert time.monotonic() - began >= 1


def test_retry_after__absurd__bounded() -> None:
    assert answers._retry_after({"retry-after": "9" * 30}) == answers.LONGEST_RETRY_AFTER_S
    assert answers._retry_after({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}) == answers.LONGEST_RETRY_AFTER_S
    assert answers._retry_after({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}) == 0


@pytest.mark.parametrize("named", [True, False])
def test_sending__wrong_ones_among_good_ones__only_they_are_refused(
    named: bool, reports: Reports, server: ReportServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.rule = refusing(lambda item: item["name"] in {"score-0", "score-7", "score-29"}, named=named)

    give(reports, 30)

    assert reports.flush(10)
    assert (reports.counts.sent, reports.counts.refused, reports.counts.queued) == (27, 3, 0)
    (record,) = caplog.records
    assert ("value (invalid)" if named else "422 invalid") in record.getMessage()


@pytest.mark.parametrize("errors", ["text", [1, {"field": None}], [{"field": "[99].value"}, {"field": "[-1]"}]])
def test_sending__refusal_that_names_nothing_of_it__none_lost_but_the_wrong(
    errors: Any, reports: Reports, server: ReportServer
) -> None:
    wrong = problem(422, "invalid")._replace(body={"code": "invalid", "errors": errors})
    server.rule = lambda request: wrong if any(item["name"] == "score-2" for item in request.items) else Reply()

    give(reports, 5)

    assert reports.flush(10)
    assert (reports.counts.sent, reports.counts.refused) == (4, 1)


def test_sending__too_large_together__in_parts(reports: Reports, server: ReportServer) -> None:
    server.rule = lambda request: problem(413, "body_too_large") if len(request.items) > 3 else Reply()

    give(reports, 20)

    assert reports.flush(10)
    assert (reports.counts.sent, reports.counts.refused) == (20, 0)


def test_sending__fails_between_parts__rest_sent_later_in_order(reports: Reports, server: ReportServer) -> None:
    give_all = threading.Event()

    def rule(request: Any) -> Reply:
        give_all.wait(10)
        if len(request.items) == 8:
            return problem(413, "body_too_large")
        return problem(503, "busy") if len(server.requests) == 4 else Reply()

    server.rule = rule
    give(reports)
    wait_until(lambda: server.requests, within_s=10)
    give(reports, 8, id=None)
    give_all.set()

    assert reports.flush(10)
    names = [[item["name"][-1] for item in request.items] for request in server.requests]
    assert ["".join(part) for part in names] == ["0", "01234567", "0123", "4567", "4567"]
    assert (reports.counts.sent, reports.counts.queued) == (9, 0)


def test_sending__one_address_fails__other_goes_on(reports: Reports, server: ReportServer) -> None:
    server.rule = lambda request: problem(503, "busy") if request.path == "/api/v1/calls" else Reply()

    reports.call(PROMPT)
    give(reports, 5)

    wait_until(lambda: reports.counts.sent == 5 and reports.counts.last_error, within_s=10)
    assert (reports.counts.queued, reports.counts.last_error) == (1, "503 busy: …")
    assert reports.flush(0.05) is False


def test_sending__many__in_batches_of_bounded_size(
    reports: Reports, server: ReportServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "MOST_AT_ONCE", 40)
    monkeypatch.setattr(lane, "MOST_BYTES_AT_ONCE", 20_000)

    give(reports, 90)
    give(reports, 10, comment="x" * 9_000)

    assert reports.flush(10)
    assert max(len(request.items) for request in server.requests) == 40
    assert max(len(json.dumps(request.items)) for request in server.requests) < 21_000
    assert set(server.times_sent().values()) == {1}


def test_queue__full__newest_dropped_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    reports = Reports(Server(f"http://127.0.0.1:{free_port()}"), KEY, most_queued=10)

    give(reports, 25)

    assert (reports.counts.queued, reports.counts.dropped) == (10, 15)
    assert len(caplog.records) == 1
    reports.close(0)


def test_queue__of_bytes__bounded(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_BYTES_QUEUED", 10_000)
    reports = Reports(Server(f"http://127.0.0.1:{free_port()}"), KEY)

    give(reports, 25, comment="x" * 2_000)

    assert (reports.counts.queued, reports.counts.dropped) == (4, 21)
    reports.close(0)


def test_server__comes_later__all_sent(server: ReportServer, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = Reports(Server(f"http://127.0.0.1:{free_port()}"), KEY)
    give(reports, 5)
    assert reports.flush(0.1) is False
    assert "ConnectionRefusedError" in str(reports.counts.last_error)

    monkeypatch.setattr(reports._outbox._connection, "_server", Server(server.url))

    assert reports.flush(10)
    assert reports.counts.sent == 5
    reports.close(0)


def test_server__drips__given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "REQUEST_S", 0.5)
    monkeypatch.setattr(answers, "FIRST_PAUSE_S", 60.0)
    monkeypatch.setattr(answers, "LONGEST_PAUSE_S", 60.0)

    with dripping_server() as url:
        reports = Reports(Server(url), KEY)
        began = time.monotonic()
        give(reports)
        wait_until(lambda: reports.counts.last_error, within_s=10)

    assert time.monotonic() - began < 5
    assert reports.counts.queued == 1
    reports.close(0)


@pytest.fixture
def tls_server(certificate: Certificate) -> Iterator[ReportServer]:
    with report_server(certificate.context) as running:
        yield running


@pytest.mark.usefixtures("trusted")
def test_tls__trusted__sent(tls_server: ReportServer) -> None:
    reports = Reports(Server(f"{tls_server.url}/prefix/"), KEY)

    give(reports, 3)

    assert reports.flush(10)
    assert {request.path for request in tls_server.requests} == {"/prefix/api/v1/scores"}
    assert len(tls_server.items) == 3
    reports.close(10)


def test_tls__certificate_of_nobody_known__kept_and_the_key_not_sent(tls_server: ReportServer) -> None:
    reports = Reports(Server(tls_server.url), KEY)

    give(reports)
    wait_until(lambda: reports.counts.last_error, within_s=10)

    assert "CERTIFICATE_VERIFY_FAILED" in str(reports.counts.last_error)
    assert (reports.counts.queued, tls_server.requests) == (1, [])
    reports.close(0)


@pytest.mark.usefixtures("trusted")
def test_tls__answer_that_stalls__given_up_in_time(tls_server: ReportServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "REQUEST_S", 0.5)
    over = threading.Event()
    tls_server.rule = lambda _: Reply() if over.wait(30) else Reply(500)
    reports = Reports(Server(tls_server.url), KEY)

    began = time.monotonic()
    give(reports)
    wait_until(lambda: reports.counts.last_error, within_s=10)

    assert time.monotonic() - began < 5
    over.set()
    assert reports.flush(10)
    reports.close(10)


def test_score__server_that_does_not_answer__app_does_not_wait(caplog: pytest.LogCaptureFixture) -> None:
    with dripping_server() as url:
        reports = Reports(Server(url), KEY)
        slowest = 0.0
        for _ in range(1000):
            began = time.monotonic()
            give(reports)
            slowest = max(slowest, time.monotonic() - began)
        began = time.monotonic()
        reports.close(0.2)

        assert time.monotonic() - began < 2
    assert slowest < 1  # a request is given up after ten
    assert "1000 reports were not sent" in caplog.text


def test_threads__many__each_report_once(reports: Reports, server: ReportServer) -> None:
    with ThreadPoolExecutor(16) as executor:
        list(executor.map(lambda _: give(reports, 50), range(16)))

    assert reports.flush(30)
    assert reports.counts.sent == 800
    assert list(server.times_sent().values()) == [1] * 800


def test_close__then_more__dropped(reports: Reports, server: ReportServer, caplog: pytest.LogCaptureFixture) -> None:
    give(reports)
    reports.close(10)
    reports.close(10)

    give(reports)

    assert (reports.counts.sent, reports.counts.dropped, len(server.requests)) == (1, 1, 1)
    assert "closed" in caplog.text


def test_flush__several_while_no_thread_can_be_started__kept_until_one_can_and_sent_once(
    reports: Reports, server: ReportServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def start_no_sender(thread: threading.Thread) -> None:
        if thread.name == "serinus-reports":
            raise RuntimeError("can't start new thread")
        start(thread)

    with ThreadPoolExecutor(4) as executor, monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_no_sender)
        give(reports, 3)
        flushed = list(executor.map(lambda _: reports.flush(1), range(4)))

    assert reports.flush(10)
    assert list(server.times_sent().values()) == [1, 1, 1]
    assert flushed == [False] * 4
    assert reports.counts.queued == 0


def test_flush__after_the_end__does_not_wait_in_vain() -> None:
    reports = Reports(Server(f"http://127.0.0.1:{free_port()}"), KEY)
    give(reports)
    reports.close(0)

    began = time.monotonic()

    assert not reports.flush(10)
    assert time.monotonic() - began < 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_fork__with_reports_queued__child_sends_only_its_own(reports: Reports, server: ReportServer) -> None:
    server.rule = lambda request: problem(503, "busy") if request.items[0]["name"] == "score-0" else Reply()
    give(reports, 2)
    wait_until(lambda: server.requests, within_s=10)

    with reports._outbox._changed:  # as if another thread held it while this one forks
        child = os.fork()
    if child == 0:
        reports.score("of-the-child", 1, response_id="chatcmpl-1")
        os._exit(0 if reports.flush(20) and reports.counts.sent == 1 else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert reports.counts.queued == 2
    assert [item["name"] for item in server.items].count("of-the-child") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_fork__during_a_request__child_gives_up_its_copy_of_the_connection() -> None:
    with dripping_server() as url:
        reports = Reports(Server(url), KEY)
        give(reports)
        wait_until(lambda: reports._outbox._connection._socket, within_s=10)
        parents = reports._outbox._connection._socket.fileno()  # type: ignore[union-attr]

        child = os.fork()
        if child == 0:
            try:
                os.fstat(parents)
            except OSError:
                os._exit(0)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        reports.close(0)

    assert os.waitstatus_to_exitcode(status) == 0


def test_exit__with_reports_queued__sent_first(server: ReportServer) -> None:
    run_app(f"""
        client = connect("{server.url}")
        for number in range(700):
            client.score(f"score-{{number}}", 1, response_id="chatcmpl-1")
    """)

    assert len(server.times_sent()) == 700


def test_exit__score_of_another_exit_handler__sent_too(server: ReportServer) -> None:
    run_app(f"""
        client = connect("{server.url}")
        atexit.register(lambda: client.score("last", 1, response_id="chatcmpl-1"))
    """)

    assert [item["name"] for item in server.items] == ["last"]


def test_exit__client_that_was_forgotten__its_reports_sent_too(server: ReportServer) -> None:
    run_app(f"""
        connect("{server.url}").score("last", 1, response_id="chatcmpl-1")
    """)

    assert [item["name"] for item in server.items] == ["last"]


def test_exit__many_clients_whose_servers_are_away__two_seconds_together(server: ReportServer) -> None:
    with dripping_server() as url:
        took_s = run_app(f"""
            urls = ["{url}", *["http://127.0.0.1:{free_port()}"] * 6, "{server.url}"]
            clients = [connect(url) for url in urls]
            for client in clients:
                client.score("last", 1, response_id="chatcmpl-1")
        """)

    assert took_s < 2 * 2.0  # and not the 2 s of each, of which there are eight
    assert [item["name"] for item in server.items] == ["last"]


def test_signal__handler_scores_while_a_score_is_being_queued__no_deadlock(
    reports: Reports, server: ReportServer
) -> None:
    previous = signal.signal(signal.SIGUSR1, lambda *_: give(reports))
    try:
        with reports._outbox._changed:
            os.kill(os.getpid(), signal.SIGUSR1)
            wait_until(lambda: reports.counts.queued, within_s=10)
    finally:
        signal.signal(signal.SIGUSR1, previous)

    assert reports.flush(10)


def test_signal__handler_scores_while_the_thread_is_being_started__one_thread(
    server: ReportServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, started = threading.Thread.start, []

    def start_interrupted(thread: threading.Thread) -> None:
        if thread.name == "serinus-reports" and len(started) < 2:
            started.append(thread)
            give(reports)  # as the handler of a signal that comes now
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_interrupted)
    reports = Reports(Server(server.url), KEY)
    give(reports)

    assert reports.flush(10)
    assert len(started) == 1
    reports.close(10)


def run_app(script: str) -> float:
    """How long its exit took, in seconds."""
    program = textwrap.dedent("""
        import atexit, functools, time
        atexit.register(lambda: print(time.monotonic() - began))  # the first is called last

        import serinus
        connect = functools.partial(serinus.Client, key="KEY", cache_dir=False, start_timeout_s=0)
    """).replace("KEY", KEY)
    source = os.pathsep.join(path for path in sys.path if path.endswith("sdk/src"))
    ran = subprocess.run(
        [sys.executable, "-c", program + textwrap.dedent(script) + "\nbegan = time.monotonic()"],
        env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    return float(ran.stdout)

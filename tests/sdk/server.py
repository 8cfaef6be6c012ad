"""A server that takes reports, or answers as it is told to; on loopback, in threads of its own."""

import json
import socket
import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple


class Reply(NamedTuple):
    status: int = 200
    body: Any = {"accepted": 1}
    headers: Mapping[str, str] = {}
    content_type: str = ""

    @property
    def type(self) -> str:
        return self.content_type or ("application/json" if self.status < 300 else "application/problem+json")


class Request(NamedTuple):
    path: str
    authorization: str
    items: list[dict[str, Any]]


Rule = Callable[[Request], Reply]


def takes_all(request: Request) -> Reply:
    return Reply()


@dataclass(frozen=True)
class Certificate:
    """Of localhost, made for this run. authority: the file of who vouches for it."""

    authority: Path
    context: ssl.SSLContext


@dataclass
class ReportServer:
    """replies: for the next requests, in order; afterwards `rule` answers."""

    port: int
    is_tls: bool = False
    requests: list[Request] = field(default_factory=list)
    replies: deque[Reply] = field(default_factory=deque)
    rule: Rule = takes_all

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.is_tls else f"http://127.0.0.1:{self.port}"

    @property
    def items(self) -> list[dict[str, Any]]:
        return [item for request in self.requests for item in request.items]

    def times_sent(self, field_name: str = "id") -> Counter[Any]:
        return Counter(item[field_name] for item in self.items)


def refusing(is_wrong: Callable[[dict[str, Any]], bool], *, named: bool = True) -> Rule:
    """As the server does: all or none; 422 with the wrong items named, or not."""

    def rule(request: Request) -> Reply:
        wrong = [index for index, item in enumerate(request.items) if is_wrong(item)]
        if not wrong:
            return Reply()
        errors = [{"field": f"[{index}].value", "code": "invalid", "message": "expected a number"} for index in wrong]
        return problem(422, "invalid", errors if named else [])

    return rule


def problem(status: int, code: str, errors: Any = (), **headers: str) -> Reply:
    body = {"status": status, "code": code, "detail": "…", "errors": list(errors)}
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@contextmanager
def report_server(tls: ssl.SSLContext | None = None) -> Iterator[ReportServer]:
    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # a client that does not trust the certificate goes away
                super().handle()

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            request = Request(self.path, self.headers["Authorization"], body)
            state.requests.append(request)
            reply = state.replies.popleft() if state.replies else state.rule(request)
            answer = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": reply.type, "Content-Length": len(answer), **reply.headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        if tls is not None:
            http_server.socket = tls.wrap_socket(http_server.socket, server_side=True, do_handshake_on_connect=False)
        state = ReportServer(http_server.server_port, is_tls=tls is not None)
        thread = Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            http_server.shutdown()
            thread.join()


@contextmanager
def dripping_server() -> Iterator[str]:
    """The url of one that sends a byte of its answer every tenth of a second, for as long as this lasts."""

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(0.1)
            while not over:
                try:
                    if connection.recv(65536) == b"":
                        return
                except TimeoutError:
                    connection.sendall(b"H" if not started else b"x")
                    started.append(True)
                except OSError:
                    return

    started: list[bool] = []
    over: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=drip)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.append(True)
            thread.join()

"""A judge's provider on loopback that speaks OpenAI's API, and can be told to misbehave.

    with provider() as judge:
        settings.JUDGE_URL = judge.url
        judge.says(score=0.9, reason="all of it is in the documents")
        judge.behaves(status(429, retry_after="7"))

What it was asked is in `asked`, one body a question. `nobody()` is the address of a judge that is down.
"""

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
SLOWEST_S = 30  # after which a provider that is slow gives up, whatever became of the test
TOO_MUCH = 4 * 2**20

Behaviour = Callable[["Asked"], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question. path: of the API, such as /chat/completions. body: as it came, from JSON."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    handler: "Handler" = field(repr=False)

    @property
    def text(self) -> str:
        """All that the messages say."""
        return "\n".join(str(message["content"]) for message in self.body["messages"])


class Provider:
    """says, behaves: from now on. Each may be changed while it is running."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.over = threading.Event()
        self.model = "gpt-4o-mini-2024-07-18"
        self.says(score=0.9, reason="it agrees with the documents")

    @property
    def questions(self) -> list[dict[str, Any]]:
        """The bodies of what it was asked, in the order in which they came."""
        return [asked.body for asked in self.asked]

    def says(self, **answer: Any) -> None:
        self.behaves(completion(json.dumps(answer)))

    def says_of(self, answer: Callable[[Asked], dict[str, Any]]) -> None:
        """An answer that depends on the question."""
        self.behaves(lambda asked: completion(json.dumps(answer(asked)))(asked))

    def behaves(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    def answer(self, asked: Asked) -> None:
        self.asked.append(asked)
        if asked.path == "/embeddings":
            asked.handler.send(200, embeddings(asked))
        else:
            self.behaviour(asked)


class Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.removeprefix("/v1")
        with suppress(ConnectionError):  # who asked may have given up
            self.provider.answer(Asked(path, {name.lower(): value for name, value in self.headers.items()}, body, self))

    def do_GET(self) -> None:  # where a redirect leads to, if it is followed
        self.provider.asked.append(Asked(self.path, dict(self.headers.items()), {}, self))
        self.send(200, {})

    def send(self, status: int, document: Any, **headers: str) -> None:
        self.send_bytes(status, json.dumps(document).encode(), **headers)

    def send_bytes(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def provider() -> Iterator[Provider]:
    handler = type("HandlerOfThisProvider", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    handler.provider = Provider(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield handler.provider
    finally:
        handler.provider.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def nobody() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


def completion(content: str | None, *, finish_reason: str = "stop", **message: Any) -> Behaviour:
    """Answers with this text."""

    def answer(asked: Asked) -> None:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": content, **message},
            "finish_reason": finish_reason,
        }
        document = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": asked.handler.provider.model,
            "choices": [choice],
            "usage": USAGE,
        }
        asked.handler.send(200, document)

    return answer


def status(code: int, *, retry_after: str = "", error: str = "") -> Behaviour:
    """Answers with this status, and with an error as OpenAI tells one."""
    headers = {"Retry_After": retry_after} if retry_after else {}
    document = {"error": {"message": f"a secret of {error}", "code": error}} if error else {}
    return lambda asked: asked.handler.send(code, document, **headers)


def not_json(asked: Asked) -> None:
    asked.handler.send_bytes(200, b"<html>Welcome to the gateway</html>")


def redirect(asked: Asked) -> None:
    asked.handler.send(302, {}, Location=f"{asked.handler.provider.url}/elsewhere")


def slow(asked: Asked) -> None:
    """Says nothing until the test is over."""
    asked.handler.provider.over.wait(SLOWEST_S)


def drip(asked: Asked) -> None:
    """One byte after the other, so that no single read ever times out."""
    over = asked.handler.provider.over
    asked.handler.send_response(200)
    asked.handler.end_headers()
    while not over.wait(0.02):
        asked.handler.wfile.write(b" ")


def huge(asked: Asked) -> None:
    asked.handler.send_bytes(200, b" " * TOO_MUCH)


def hang_up(asked: Asked) -> None:
    asked.handler.close_connection = True
    asked.handler.connection.shutdown(socket.SHUT_RDWR)


def embeddings(asked: Asked) -> dict[str, Any]:
    """Of each text a vector that equal texts share."""
    texts = asked.body["input"]
    listed = [texts] if isinstance(texts, str) else texts
    return {
        "object": "list",
        "model": asked.body["model"],
        "data": [{"object": "embedding", "index": i, "embedding": _vector(text)} for i, text in enumerate(listed)],
        "usage": {"prompt_tokens": len(listed), "total_tokens": len(listed)},
    }


def _vector(text: Any) -> list[float]:
    return [byte / 255 for byte in hashlib.sha256(str(text).encode()).digest()[:8]]

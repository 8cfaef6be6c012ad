"""The judge's model, as a provider with OpenAI's API on this machine: compares answers with orders, and may be down.

It sees of a call what Serinus sends it, the order and the answer, and nothing else: which model or version gave the
answer it does not know.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from demo import orders

MODEL = "gpt-4o-mini"
SNAPSHOT = "gpt-4o-mini-2024-07-18"
CHARACTERS_PER_TOKEN = 4


class JudgeApi:
    """is_down: from now on every question is answered 503, as by a gateway whose model is away."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self.is_down = False
        self.answered = 0
        self.turned_away = 0
        self._counting = threading.Lock()

    def answer(self, question: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body, for the body of a request of /chat/completions."""
        is_down = self.is_down
        with self._counting:
            self.turned_away += is_down
            self.answered += not is_down
        if is_down:
            return 503, {"error": {"message": "The model is away", "code": "unavailable"}}
        return 200, completion(question)


def completion(question: dict[str, Any]) -> dict[str, Any]:
    texts = "\n".join(str(message["content"]) for message in question["messages"])
    borne_out, lines = orders.faithful(texts)
    said = {
        "reason": f"{borne_out} of {lines} lines of the answer are in the order",
        "score": borne_out / lines if lines else 1,
    }
    content = json.dumps(said)
    asked, answered = len(texts) // CHARACTERS_PER_TOKEN, len(content) // CHARACTERS_PER_TOKEN
    return {
        "id": "chatcmpl-judge",
        "object": "chat.completion",
        "created": 0,
        "model": SNAPSHOT,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered},
    }


@contextmanager
def listening() -> Iterator[JudgeApi]:
    """A judge on a free port of the loopback, until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, answer = judge.answer(json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0)))))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        judge = JudgeApi(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield judge
        finally:
            server.shutdown()
            thread.join()

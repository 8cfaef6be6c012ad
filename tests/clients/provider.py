"""A provider of chat completions on loopback: answers what OpenAI's client asks, also in a stream."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TAKES_S = 0.02  # so that calls at once overlap
WORDS = ["one", " two", " three"]
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


class Handler(BaseHTTPRequestHandler):
    """Fails where the model's name begins with `failing`."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(TAKES_S)
        if asked["model"].startswith("failing"):
            self.answer(500, "application/json", [json.dumps({"error": {"message": "no", "type": "server_error"}})])
        elif asked.get("stream"):
            self.answer(200, "text/event-stream", stream(asked["model"]))
        else:
            self.answer(200, "application/json", [json.dumps(whole(asked["model"]))])

    def answer(self, status: int, content_type: str, parts: Any) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(ConnectionError):  # a stream may be abandoned
            for part in parts:
                self.wfile.write(part.encode())
                self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        pass


def whole(model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(WORDS)}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "usage": USAGE,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }


def stream(model: str) -> Iterator[str]:
    for word in [*WORDS, None]:
        delta = {} if word is None else {"role": "assistant", "content": word}
        chunk = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": None if word else "stop"}],
        }
        yield f"data: {json.dumps(chunk)}\n\n"
    yield "data: [DONE]\n\n"


@contextmanager
def provider() -> Iterator[str]:
    """Its base url."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()

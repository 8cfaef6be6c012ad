"""Apps: get a prompt for a unit, call a model with it, export the spans, score some of them.

`python -m benchmarks.soak.apps PORT KEY SEED` runs until its standard input is closed, then prints what was taken.
"""

import json
import os
import random
import sys
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from benchmarks.soak.clients import Client
from benchmarks.soak.operators import PROMPTS
from tests import traces

SPANS_A_BATCH = 20
BATCH_EVERY_S = 0.25
UNITS = 400
SENT_AGAIN = 0.1  # of the batches, though they were acknowledged
SCORED = 0.5
FAILS = {"good": 0.02, "bad": 0.4}


@dataclass(slots=True)
class Acknowledged:
    """Hexadecimal ids, of each that was answered 200 at least once. repeated: batches that were sent again."""

    spans: list[str] = field(default_factory=list)
    scores: list[str] = field(default_factory=list)
    repeated: int = 0


class App:
    def __init__(self, client: Client, chance: random.Random) -> None:
        self.client, self.chance = client, chance
        self.acknowledged = Acknowledged()

    def work(self) -> None:
        """One batch."""
        spans = [self._call() for _ in range(SPANS_A_BATCH)]
        self._send("/v1/traces", traces.body(*spans), "application/x-protobuf")
        self.acknowledged.spans += [span.span_id.hex() for span in spans]
        scores = [self._score(span) for span in spans if self.chance.random() < SCORED]
        if scores:
            self._send("/api/v1/scores", json.dumps(scores).encode(), "application/json")
            self.acknowledged.scores += [score["id"] for score in scores]

    def _call(self) -> Span:
        prompt, unit = self.chance.choice(PROMPTS), self.chance.randrange(UNITS)
        got = self.client.ask("GET /prompts", "GET", f"/prompts/{prompt}?unit={quote(f'customer-{unit}')}")
        failed = self.chance.random() < FAILS[got["config"]["quality"]]
        told = {"gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 200, "session.id": f"s-{unit}"}
        span = traces.span(
            traces.CHAT | got["trace"] | told, age_s=0, ms=self.chance.lognormvariate(6, 0.4), failed=failed
        )
        span.trace_id, span.span_id = os.urandom(16), os.urandom(8)
        return span

    def _score(self, span: Span) -> dict[str, Any]:
        id_ = span.span_id.hex()
        of = {"trace_id": span.trace_id.hex(), "span_id": id_}
        return {"id": f"score-{id_}", "name": "helpful", "value": self.chance.choice([0, 1]), "source": "judge", **of}

    def _send(self, path: str, body: bytes, content_type: str) -> None:
        self.client.ask(f"POST {path}", "POST", path, body, content_type)
        if self.chance.random() < SENT_AGAIN:
            self.acknowledged.repeated += 1
            self.client.ask(f"POST {path}", "POST", path, body, content_type)


def main(port: int, key: str, seed: int) -> None:
    stopping = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopping.set()), daemon=True).start()
    app = App(Client(port, key), random.Random(seed))
    while not stopping.wait(BATCH_EVERY_S):
        app.work()
    done = app.acknowledged
    told = {"spans": done.spans, "scores": done.scores, "repeated": done.repeated, "answers": app.client.answers}
    print(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))

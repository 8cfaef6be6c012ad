"""Eight days of calls and their scores, sent through the public API as they would have been day by day.

Baselines are of seven days that ended a day ago, and what is compared with them is the last day: so eight.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from demo import llm, orders
from demo.api import Api
from demo.wholesale import GOOD_MODEL, INVENTS, MODEL, NAME

DAYS = 8
EVERY = timedelta(minutes=10)
EVERY_OF_LAST_HOUR = timedelta(seconds=5)  # so that it can be told when something changed
ENDED = timedelta(minutes=6)  # ago, so that the present five minutes are live traffic alone
AT_ONCE = 500

Sent = tuple[dict[str, Any], dict[str, Any]]


def send(api: Api, *, version: str, evaluator: str) -> int:
    """Answers how many calls were sent, each with its score."""
    rng = random.Random()
    both = [_of(at, version, evaluator, rng) for at in times(datetime.now(UTC))]
    for first in range(0, len(both), AT_ONCE):
        calls, scores = zip(*both[first : first + AT_ONCE], strict=True)
        api.post("/api/v1/calls", calls)
        api.post("/api/v1/scores", scores)
    return len(both)


def times(now: datetime) -> Iterator[datetime]:
    at = now - timedelta(days=DAYS)
    while at <= now - ENDED:
        yield at
        at += EVERY if at < now - timedelta(hours=1) else EVERY_OF_LAST_HOUR


def _of(at: datetime, version: str, evaluator: str, rng: random.Random) -> Sent:
    """A call, and the score that a judge gives its answer."""
    answer = llm.complete(MODEL, rng)
    order = orders.written(rng)
    borne_out, lines = orders.faithful(order + orders.read(order, invents=INVENTS[GOOD_MODEL], rng=rng))
    ids = {"trace_id": f"{rng.getrandbits(128):032x}", "span_id": f"{rng.getrandbits(64):016x}"}
    call = {
        **ids,
        "prompt": NAME,
        "version": version,
        "label": "production",
        "provider": llm.PROVIDER,
        "request_model": MODEL,
        "response_model": GOOD_MODEL,
        "stream": True,
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens,
        "ttft_ms": 1000 * answer.first_chunk_s,
        "duration_ms": 1000 * answer.latency_s,
        "user": f"customer-{rng.getrandbits(48):012x}",
        "environment": "demo",
        "started_at": at.isoformat(),
    }
    score = {**ids, "name": "faithfulness", "value": borne_out / lines, "source": "judge", "evaluator": evaluator}
    return call, score

"""The judge: looks at answers and posts a `hallucination` score, 0 or 1, for each that it looked at.

It takes every canary call, and of the others only a sample, because judging costs money. It does not wait for a
call's span to arrive: a score names its call by trace and span id and may come first.
"""

import random
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event

from demo.api import Api, Refused
from demo.prompts import HALLUCINATES
from demo.telemetry import SpanIds

CONTROL_SAMPLE = 0.25
AT_ONCE = 200
PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Judgement:
    call: SpanIds
    hallucination: int

    def as_score(self) -> dict[str, object]:
        return {
            "id": f"judge-{self.call.span_id}",
            "trace_id": self.call.trace_id,
            "span_id": self.call.span_id,
            "name": "hallucination",
            "value": self.hallucination,
            "source": "judge",
            "evaluator": "demo-judge",
        }


class Judge:
    """Any thread may `look`; one thread runs `work`, which posts what was found."""

    def __init__(self) -> None:
        self._found: SimpleQueue[Judgement] = SimpleQueue()

    def look(self, call: SpanIds, *, version: str, arm: str | None, rng: random.Random) -> None:
        if arm == "canary" or rng.random() < CONTROL_SAMPLE:
            self._found.put(Judgement(call, int(rng.random() < HALLUCINATES[version])))

    def work(self, api: Api, stopping: Event) -> None:
        """Post what was found, several at once, until `stopping`."""
        waiting: list[Judgement] = []
        while not stopping.is_set():
            waiting += self._take(AT_ONCE - len(waiting))
            if waiting and self._post(api, waiting, stopping):
                waiting = []
            if self._found.empty():
                stopping.wait(PAUSE_S)

    def _take(self, most: int) -> list[Judgement]:
        taken: list[Judgement] = []
        try:
            while len(taken) < most:
                taken.append(self._found.get_nowait())
        except Empty:
            pass
        return taken

    def _post(self, api: Api, judgements: list[Judgement], stopping: Event) -> bool:
        """Whether the server took them; a busy one (503) is asked again after a second, and counts each id once."""
        try:
            api.post("/api/v1/scores", [judgement.as_score() for judgement in judgements])
        except Refused as refusal:
            if refusal.status != 503:
                raise
            stopping.wait(1)
            return False
        return True

"""Which answers the demo's judge looks at, what it finds, and how it posts that."""

import random
from threading import Event
from typing import Any

import pytest

from demo.api import Refused
from demo.judge import AT_ONCE, CONTROL_SAMPLE, Judge
from demo.prompts import HALLUCINATES
from demo.telemetry import SpanIds

LOOKED = 100 * AT_ONCE + 1  # the last array is not full


class Scores:
    """In the place of a connection: refuses with the given statuses, then takes scores until fewer than usual come."""

    def __init__(self, *statuses: int) -> None:
        self.stopping = Event()
        self.accepted: list[dict[str, Any]] = []
        self.posts: list[list[dict[str, Any]]] = []
        self._statuses = list(statuses)

    def post(self, path: str, body: list[dict[str, Any]]) -> None:
        assert path == "/api/v1/scores"
        self.posts.append(body)
        if self._statuses:
            raise Refused(f"POST {path}", self._statuses.pop(0), b"{}")
        self.accepted += body
        if len(body) < AT_ONCE:
            self.stopping.set()


def posted(judge: Judge, scores: Scores) -> list[dict[str, Any]]:
    judge.work(scores, scores.stopping)  # type: ignore[arg-type]  # what is missing of an Api is not called
    return scores.accepted


def look(judge: Judge, calls: int, *, version: str, arm: str | None) -> None:
    rng = random.Random(5)
    for number in range(calls):
        judge.look(SpanIds(f"{number:032x}", f"{number:016x}"), version=version, arm=arm, rng=rng)


def test_look__canary__every_call_judged_at_the_true_rate() -> None:
    judge = Judge()

    look(judge, LOOKED, version="v2.3", arm="canary")

    values = [score["value"] for score in posted(judge, Scores())]
    assert len(values) == LOOKED
    assert abs(sum(values) / LOOKED - HALLUCINATES["v2.3"]) < 4 * (HALLUCINATES["v2.3"] / LOOKED) ** 0.5  # 4 std errors


@pytest.mark.parametrize("arm", ["control", None])
def test_look__others__a_sample_judged(arm: str | None) -> None:
    judge = Judge()

    look(judge, LOOKED, version="v2.2", arm=arm)

    share = len(posted(judge, Scores())) / LOOKED
    assert abs(share - CONTROL_SAMPLE) < 4 * (CONTROL_SAMPLE / LOOKED) ** 0.5  # four standard errors


def test_work__score__names_its_call_and_can_be_sent_again() -> None:
    judge = Judge()

    look(judge, 1, version="v2.3", arm="canary")

    (score,) = posted(judge, Scores())
    assert score | {"value": None} == {
        "id": "judge-0000000000000000",
        "trace_id": "0" * 32,
        "span_id": "0" * 16,
        "name": "hallucination",
        "value": None,
        "source": "judge",
        "evaluator": "demo-judge",
    }


def test_work__server_busy__posts_the_same_scores_again(monkeypatch: pytest.MonkeyPatch) -> None:
    judge, scores = Judge(), Scores(503)
    monkeypatch.setattr(scores.stopping, "wait", lambda seconds: False)
    look(judge, 3, version="v2.3", arm="canary")

    posted(judge, scores)

    assert scores.posts == [scores.accepted, scores.accepted]


def test_work__scores_refused__raises() -> None:
    judge = Judge()
    look(judge, 1, version="v2.3", arm="canary")

    with pytest.raises(Refused, match="422"):
        posted(judge, Scores(422))

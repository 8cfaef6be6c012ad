"""The demo's judge: an API like OpenAI's over real HTTP, which sees nothing but the order and the answer."""

import json
import random
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from demo import orders
from demo.judge_api import SNAPSHOT, JudgeApi, listening


@pytest.fixture
def judge() -> Iterator[JudgeApi]:
    with listening() as started:
        yield started


def ask(judge: JudgeApi, text: str) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{judge.url}/chat/completions", body)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_answer__one_line_of_four_is_invented__three_quarters(judge: JudgeApi) -> None:
    order = "1 x A-1001\n2 x A-1002\n3 x B-1003\n4 x F-1004"
    answer = '{"A-1001": 1, "A-1002": 2, "B-1003": 300, "F-1004": 4}'

    status, document = ask(judge, f"{order}\n{answer}")

    said = json.loads(document["choices"][0]["message"]["content"])
    assert (status, document["model"]) == (200, SNAPSHOT)
    assert said == {"reason": "3 of 4 lines of the answer are in the order", "score": 0.75}
    assert document["usage"]["prompt_tokens"] > 0


def test_answer__judge_is_down_and_comes_back__503_meanwhile(judge: JudgeApi) -> None:
    judge.is_down = True
    down, _ = ask(judge, "1 x A-1001")
    judge.is_down = False
    up, _ = ask(judge, "1 x A-1001")

    assert (down, up) == (503, 200)
    assert (judge.turned_away, judge.answered) == (1, 1)


@pytest.mark.parametrize("invents", [0.06, 0.13])
def test_read__many_orders__invents_as_often_as_is_said(invents: float) -> None:
    rng = random.Random(3)
    counted = [0, 0]

    for _ in range(500):
        order = orders.written(rng)
        for place, number in enumerate(orders.faithful(order + orders.read(order, invents=invents, rng=rng))):
            counted[place] += number

    assert counted[1] == 500 * orders.LINES
    assert abs(1 - counted[0] / counted[1] - invents) < 4 * (invents / counted[1]) ** 0.5  # four standard errors

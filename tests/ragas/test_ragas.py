"""The real ragas package against a provider on loopback: in .venv-ragas, which `make test` fills, as it is heavy."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import judges
from tests.judges import Asked, Provider

HERE = Path(__file__).resolve().parent
PYTHON = HERE.parents[1] / ".venv-ragas/bin/python"
LONG_S = 60
WITHIN_S = 240  # its imports alone take 3 s, and many times that where everything else runs too
METRICS = ("faithfulness", "context_recall", "answer_relevancy")
QUESTION = "who wrote Emma and who printed it"

pytestmark = [
    pytest.mark.skipif(not PYTHON.exists(), reason="make .venv-ragas/installed fills it"),
    pytest.mark.xdist_group("ragas"),  # one process of the package, not one for each worker
]


class App:
    """The process that asks. Its imports take seconds, so all tests have one."""

    def __init__(self, process: "subprocess.Popen[str]", stderr: Path) -> None:
        self._process, self._stderr = process, stderr

    def asks(self, url: str, *metrics: str, deadline_s: float = LONG_S) -> dict[str, Any]:
        """What came of each metric."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([url, deadline_s, metrics]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        logged = self._stderr.read_text()
        assert line, logged
        for secret in ("a-secret", "sk-never-told"):
            assert secret not in logged
        found: dict[str, Any] = json.loads(line)
        return found


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    stderr = tmp_path_factory.mktemp("ragas") / "stderr"
    with (
        stderr.open("w") as log,
        subprocess.Popen(
            [PYTHON, HERE / "app.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        yield App(process, stderr)
        process.stdin.close()
        assert process.wait(WITHIN_S) == 0


def as_the_metrics_ask(asked: Asked) -> dict[str, Any]:
    """Two statements of which one is borne out; the question itself, as the one that the answer answers."""
    if '"statements"' in asked.text and '"verdict"' not in asked.text:
        return {"statements": ["Jane Austen wrote it.", "a-secret printed it."]}
    if '"verdict"' in asked.text:
        verdicts = [{"statement": statement, "reason": "r", "verdict": n} for n, statement in enumerate("ab")]
        return {"statements": verdicts}
    if '"classifications"' in asked.text:
        found = [{"statement": statement, "reason": "r", "attributed": n % 2} for n, statement in enumerate("abcd")]
        return {"classifications": found}
    return {"question": QUESTION, "noncommittal": 0}


@pytest.fixture
def judge() -> Any:
    with judges.provider() as provider:
        yield provider


def test_metrics__answered__values_with_model_and_tokens(app: App, judge: Provider) -> None:
    judge.says_of(as_the_metrics_ask)

    found = app.asks(judge.url, *METRICS)

    values = {metric: round(asked["value"], 6) for metric, asked in found.items()}
    assert values == {"faithfulness": 0.5, "context_recall": 0.5, "answer_relevancy": 1}
    assert {asked["model"] for asked in found.values()} == {"gpt-4o-mini-2024-07-18"}
    # statements and verdicts; classifications; a question three times, whose embeddings are not counted
    assert [found[metric]["input_tokens"] for metric in METRICS] == [200, 100, 300]
    assert {asked.headers["authorization"] for asked in judge.asked} == {"Bearer sk-never-told"}


def test_metrics__answers_of_no_use__told_and_asked_once_each(app: App, judge: Provider) -> None:
    judge.says(score=1, reason="a-secret")

    found = app.asks(judge.url, *METRICS)

    assert {(asked["value"], asked["status"], bool(asked["error"])) for asked in found.values()} == {(None, 200, True)}
    assert len(judge.asked) == len(METRICS)


def test_metrics__busy__status_and_when_to_come_back(app: App, judge: Provider) -> None:
    judge.behaves(judges.status(429, retry_after="7"))

    asked = app.asks(judge.url, "faithfulness")["faithfulness"]

    assert (asked["value"], asked["status"], asked["retry_after"]) == (None, 429, "7")
    assert len(judge.asked) == 1


def test_metrics__slow__over_at_the_deadline(app: App, judge: Provider) -> None:
    judge.behaves(judges.drip)

    asked = app.asks(judge.url, "faithfulness", deadline_s=2)["faithfulness"]

    assert (asked["value"], asked["timed_out"]) == (None, True)

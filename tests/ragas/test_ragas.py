"""The real ragas package against a provider on loopback: in .venv-ragas, which `make test` fills, as it is heavy."""

import json
import subprocess
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

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="make .venv-ragas/installed fills it")


def run_app(url: str, *metrics: str, deadline_s: float = LONG_S) -> dict[str, Any]:
    command = [PYTHON, HERE / "app.py", url, str(deadline_s), *metrics]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S)
    assert done.returncode == 0, done.stderr
    for secret in ("a-secret", "sk-never-told"):
        assert secret not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


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


def test_metrics__answered__values_with_model_and_tokens(judge: Provider) -> None:
    judge.says_of(as_the_metrics_ask)

    found = run_app(judge.url, *METRICS)

    values = {metric: round(asked["value"], 6) for metric, asked in found.items()}
    assert values == {"faithfulness": 0.5, "context_recall": 0.5, "answer_relevancy": 1}
    assert {asked["model"] for asked in found.values()} == {"gpt-4o-mini-2024-07-18"}
    # statements and verdicts; classifications; a question three times, whose embeddings are not counted
    assert [found[metric]["input_tokens"] for metric in METRICS] == [200, 100, 300]
    assert {asked.headers["authorization"] for asked in judge.asked} == {"Bearer sk-never-told"}


def test_metrics__answers_of_no_use__told_and_asked_once_each(judge: Provider) -> None:
    judge.says(score=1, reason="a-secret")

    found = run_app(judge.url, *METRICS)

    assert {(asked["value"], asked["status"], bool(asked["error"])) for asked in found.values()} == {(None, 200, True)}
    assert len(judge.asked) == len(METRICS)


def test_metrics__busy__status_and_when_to_come_back(judge: Provider) -> None:
    judge.behaves(judges.status(429, retry_after="7"))

    asked = run_app(judge.url, "faithfulness")["faithfulness"]

    assert (asked["value"], asked["status"], asked["retry_after"]) == (None, 429, "7")
    assert len(judge.asked) == 1


def test_metrics__slow__over_at_the_deadline(judge: Provider) -> None:
    judge.behaves(judges.drip)

    asked = run_app(judge.url, "faithfulness", deadline_s=2)["faithfulness"]

    assert (asked["value"], asked["timed_out"]) == (None, True)

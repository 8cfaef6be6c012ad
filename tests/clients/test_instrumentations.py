"""Spans of OpenAI's real client under real instrumentations: each is stamped with the prompt of its `with`, no other.

They run in .venv-clients, which `make test` fills: no environment of the server's could hold them as well.
"""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTHON = ROOT / ".venv-clients/bin/python"

CALLS = {
    "before": 1,
    "after": 1,
    "sync": 2,
    "nested": 2,
    "inside-a-span": 1,
    "failing": 1,
    "stream": 2,
    "interleaved": 3,
    "between-chunks": 4,
    "threads": 24,
    "executor": 8,
    "executor-after": 1,
    "tasks": 24,
    "task-outliving": 1,
    "tasks-after": 1,
    "async-stream": 8,
    "async-under-sync": 1,
}


def run_app(instrumentation: str) -> dict[str, Any]:
    """What the app printed."""
    if not PYTHON.exists():
        pytest.skip("no .venv-clients: make .venv-clients/installed")
    ended = subprocess.run(
        [PYTHON, "-W", "ignore", HERE / "app.py", instrumentation],
        env={**os.environ, "PYTHONPATH": str(ROOT / "sdk/src"), "OTEL_SDK_DISABLED": "false"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


@pytest.mark.parametrize("instrumentation", ["openai-v2", "openinference", "traceloop"])
def test_spans_of_calls__threads_tasks_and_streams__none_stamped_wrong(instrumentation: str) -> None:
    told = run_app(instrumentation)

    calls = told["calls"]
    assert Counter(call["case"] for call in calls) == CALLS
    assert [call for call in calls if call["attributes"] != call["expected"]] == []
    assert [call for call in calls if call["events"] != [call["expected"]] * (call["expected"] != "none")] == []
    assert told["scored"] == [call["span_id"] for call in calls if call["case"] == "sync"]

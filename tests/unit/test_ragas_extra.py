"""ragas is an extra: nothing imports it, and without it the score is missing. What comes of it becomes a judgement."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from observability.judging import ragas_metrics
from observability.judging.evaluating import Judgement, Material, Missed, evaluate
from observability.judging.ragas_metrics import Asked, NotInstalledError
from observability.models import EvaluatorVersion

ROOT = Path(__file__).resolve().parents[2]
OURS = ("common", "config", "registry", "observability", "rollout")
MATERIAL = Material("who wrote Emma", "Jane Austen", ["Emma, by Jane Austen"], "stop", None)
IMPORT_ALL = """
import json, pkgutil, sys, importlib, django
django.setup()
for name in {ours}:
    for module in pkgutil.walk_packages(importlib.import_module(name).__path__, name + "."):
        if ".migrations." not in module.name:
            importlib.import_module(module.name)
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


def ask(metric: str = "faithfulness", material: Material = MATERIAL) -> Judgement | Missed:
    config = {"metric": metric, "model": "gpt-4o-mini"}
    if metric == "answer_relevancy":
        config["embeddings"] = "text-embedding-3-small"
    return evaluate(EvaluatorVersion(kind="ragas", config=config), material, deadline_s=5)


def comes(monkeypatch: pytest.MonkeyPatch, settings: Any, **what: Any) -> None:
    settings.JUDGE_URL = "http://127.0.0.1:9/v1"
    monkeypatch.setattr(ragas_metrics, "ask", lambda *_args, **_options: Asked(**what))


def test_all_modules__imported__none_of_the_extra() -> None:
    code = IMPORT_ALL.format(ours=OURS)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )

    assert not {"ragas", "openai", "instructor", "langchain"} & set(json.loads(done.stdout))


def test_ragas__not_installed__missing(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.JUDGE_URL = "http://127.0.0.1:9/v1"
    monkeypatch.setitem(sys.modules, "openai", None)  # also where somebody has installed the extra

    found = ask()

    assert isinstance(found, Missed)
    assert (found.missing, found.try_again) == ("not_installed", False)
    with pytest.raises(NotInstalledError):
        ragas_metrics._load()


@pytest.mark.parametrize(("value", "expected"), [(0.5, 0.5), (1.0000000002, 1), (-1e-9, 0)])
def test_ragas__value__judgement_with_its_cost(
    monkeypatch: pytest.MonkeyPatch, settings: Any, value: float, expected: float
) -> None:
    comes(monkeypatch, settings, value=value, model="gpt-4o-mini-2024-07-18", input_tokens=200, output_tokens=40)

    found = ask()

    assert isinstance(found, Judgement)
    assert found.value == expected
    # 200 and 40 tokens at 0.15 and 0.60 USD for a million
    assert (found.model, found.cost_usd) == ("gpt-4o-mini-2024-07-18", Decimal("0.000054"))


@pytest.mark.parametrize(
    ("came", "missing", "try_again"),
    [
        ({"value": -0.2}, "out_of_range", True),
        ({"timed_out": True}, "timeout", True),
        ({"error": "APIConnectionError"}, "unreachable", True),
        ({"error": "RateLimitError", "status": 429, "retry_after": "7"}, "unreachable", True),
        ({"error": "BadRequestError", "status": 400}, "refused", False),
        ({"error": "InstructorRetryException", "status": 200}, "not_json", True),
        ({"status": 200}, "failed", False),
    ],
)
def test_ragas__no_value__missing(
    monkeypatch: pytest.MonkeyPatch, settings: Any, came: dict[str, Any], missing: str, try_again: bool
) -> None:
    comes(monkeypatch, settings, **came)

    found = ask()

    assert isinstance(found, Missed)
    assert (found.missing, found.try_again) == (missing, try_again)
    assert found.retry_after_s == (7 if "retry_after" in came else None)


@pytest.mark.parametrize(
    ("metric", "material", "missing"),
    [
        ("faithfulness", Material("in", "out", (), None, None), "no_contexts"),
        ("context_recall", Material(None, "out", ["d"], None, None), "no_text"),
        ("answer_relevancy", Material("in", None, (), None, None), "no_output"),
        ("answer_relevancy", Material("in", "", (), None, None), "no_output"),
        ("answer_relevancy", Material(None, None, (), None, None), "no_text"),
    ],
)
def test_ragas__lacks_what_the_metric_needs__missing(metric: str, material: Material, missing: str) -> None:
    found = ask(metric, material)

    assert isinstance(found, Missed)
    assert (found.missing, found.try_again) == (missing, False)


@pytest.mark.parametrize(("told", "counted"), [(12, 12), (10**30, 0), (-5, 0), ("many", 0), (True, 0), (None, 0)])
def test_count_tokens__what_is_no_number_of_them__none(told: Any, counted: int) -> None:
    asked = ragas_metrics.Asked()

    ragas_metrics._count_tokens(
        asked, json.dumps({"usage": {"prompt_tokens": told, "completion_tokens": told}}).encode()
    )

    assert (asked.input_tokens, asked.output_tokens) == (counted, counted)

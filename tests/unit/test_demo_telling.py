"""A rollout in the demo's words."""

import io
import math
from typing import Any

import pytest

from demo import telling
from demo.narrator import Narrator
from rollout.formats import estimate, plain
from rollout.wording import CAUSES


def metric(name: str, control: float | None, canary: float | None, verdict: str) -> dict[str, Any]:
    return {
        "name": name,
        "verdict": verdict,
        "control": {"n": 2950, "units": 2100, "estimate": control},
        "canary": {"n": 611, "units": 500, "estimate": canary},
    }


def rollout(*metrics: dict[str, Any], log_e_harm: float = 0.0) -> dict[str, Any]:
    """Of v2.3 at 5 %, as the API answers it, with only the fields that are told."""
    return {
        "control": "v2.2",
        "canary": "v2.3",
        "status": "rolled_back",
        "weight_bp": 500,
        "verdict": {
            "kind": "harmful",
            "guilty": ["hallucination"],
            "reasons": ["hallucination is worse.", "So is error_rate."],
            "log_e_harm": log_e_harm,
            "log_threshold": math.log(20),
            "metrics": list(metrics),
        },
    }


def test_progress__no_verdict_yet__weight_and_orders() -> None:
    line = telling.progress(rollout() | {"verdict": None}, 1200, 640.4)

    assert line == "v2.3 at 5 % · 1200 orders, 640/s"


def test_progress__verdict__estimates_and_evidence() -> None:
    line = telling.progress(
        rollout(metric("hallucination", 0.0181, None, "undecided"), log_e_harm=math.log(3.42)), 1200, 640.4
    )

    assert (
        line
        == "v2.3 at 5 % · 1200 orders, 640/s · evidence of harm 3.4 of 20 · hallucination \N{EN DASH} against 1.8 %"
    )


def test_evidence__rolled_back__cause_then_a_line_for_each_metric_then_harm() -> None:
    transition = {"cause": "guardrail:hallucination", "actor": "evaluator"}
    ended = rollout(metric("hallucination", 0.0181, 0.0426, "harmful"), log_e_harm=9.0)

    text = telling.evidence({"rollout": ended, "transition": transition})

    assert text.splitlines() == [
        "Cause: guardrail:hallucination, by evaluator",
        "Evidence of harm: over 1000 of 20",
        "hallucination: 4.3 % (n 611) against 1.8 % (n 2950): harmful",
    ]


def test_verdict__found__its_kind_and_reasons_as_sentences() -> None:
    assert telling.verdict(rollout()) == "harmful. hallucination is worse. So is error_rate."
    assert telling.verdict({"verdict": None}) == "not there yet."


def test_changes__unified_diff__only_what_goes_and_comes() -> None:
    diff = "--- order-extractor@v2.2\n+++ order-extractor@v2.3\n@@ -1,2 +1,2 @@\n [system]\n-Never guess.\n+Be helpful."

    assert telling.changes(diff) == "- Never guess.\n+ Be helpful."


@pytest.mark.parametrize("share", [None, 0.0, 0.0005, 0.0181, 0.5])
def test_outcome__rolled_back__in_the_words_of_its_page(share: float | None) -> None:
    ended = rollout(metric("hallucination", 0.0181, share, "harmful"), metric("error_rate", 0.005, 0.005, "undecided"))

    told = plain(f"hallucination {estimate(share, 'share')} against {estimate(0.0181, 'share')}")
    assert telling.outcome(ended) == f"v2.3 was rolled back by the verdict: {told}"


def test_outcome__promoted__in_the_words_of_its_page() -> None:
    ended = rollout() | {"status": "promoted", "verdict": {"kind": "safe"}}

    assert telling.outcome(ended) == f"v2.3 was promoted {CAUSES['proven_safe']}"


def test_outcome__before_any_verdict__how_it_ended() -> None:
    assert telling.outcome(rollout() | {"status": "cancelled", "verdict": None}) == "v2.3 was cancelled"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_narrator__terminal__progress_is_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    out = Terminal()
    narrator = Narrator(out)

    narrator.progress("a line that is longer than the terminal")
    narrator.progress("short")
    narrator.detail("done")

    assert out.getvalue().split("\r\x1b[K") == ["", "       a line that ", "       short", "       done\n"]


def test_narrator__no_terminal__progress_now_and_then() -> None:
    out = io.StringIO()
    narrator = Narrator(out)

    narrator.progress("one")
    narrator.progress("two, too soon")

    assert out.getvalue() == " 0:00  one\n"


def test_alert__fired__kind_severity_and_summary() -> None:
    said = {"kind": "baseline", "severity": "warning", "summary": "faithfulness fell from 0.94 to 0.87"}

    assert telling.alert(said, "fired") == "baseline (warning) fired: faithfulness fell from 0.94 to 0.87"


def test_counts__several__the_most_first() -> None:
    assert telling.counts({"timeout": 3, "unreachable": 120}) == "120 unreachable, 3 timeout"


@pytest.mark.parametrize(("values", "said"), [([0.8, 0.9], "0.850, of 2"), ([], "none yet")])
def test_mean__scores__with_their_number(values: list[float], said: str) -> None:
    assert telling.mean(values) == said

"""What the page of a rollout computes by itself: how much worse a margin allows, and how logarithms are written."""

from typing import Any

import pytest

from rollout.formats import MINUS, signed_log
from rollout.pages.rollout_parts import allowed_difference


def metric(**fields: Any) -> dict[str, Any]:
    about = {"kind": "rate", "direction": "lower", "limit": None, "margin": {"ratio": 1.5}}
    return about | {"control": {"estimate": fields.pop("control")}} | fields


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        (metric(control=0.5), 0.1),  # odds of 1 grow to 1.5, which is 0.6
        (metric(control=0.5, direction="higher"), 0.1),
        (metric(control=0.02, margin={"absolute": 0.01}), 0.01),
        (metric(control=0.9, kind="score", direction="higher", margin={"absolute": 0.03}), 0.03),
        (metric(control=400.0, kind="latency", margin={"ratio": 1.1}), 40.0),
        (metric(control=0.0), 0.0),
        (metric(control=1.0), 0.0),
    ],
)
def test_allowed_difference__as_the_margin_says(given: dict[str, Any], allowed: float) -> None:
    assert allowed_difference(given) == pytest.approx(allowed)


@pytest.mark.parametrize(
    "given",
    [metric(control=None), metric(control=0.5, margin=None), metric(control=0.5, margin=None, limit=0.1)],
)
def test_allowed_difference__no_comparison__none(given: dict[str, Any]) -> None:
    assert allowed_difference(given) is None


@pytest.mark.parametrize(
    ("log_e", "written"),
    [(0.0, "0.0"), (2.996, "3.0"), (-1.04, f"{MINUS}1.0"), (-0.04, "0.0"), (-10.0, f"{MINUS}10.0")],
)
def test_signed_log__with_a_true_minus_and_no_minus_zero(log_e: float, written: str) -> None:
    assert signed_log(log_e) == written

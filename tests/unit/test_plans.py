"""Reading a plan: what silence means, and that every wrong field is named."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Invalid
from rollout.core.plan import Plan, PlanMetric, PlanStep, read_duration_s, read_share_bp
from rollout.plans import read_plan

HOUR = 3600


def problems(written: Any, **seen: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as refusal:
        read_plan(written, seen=seen)
    assert refusal.value.code == "invalid_plan"
    return {error.field: error.message for error in refusal.value.errors}


def test_read_plan__silent__the_defaults_of_the_product_page() -> None:
    plan = read_plan({}, seen={"faithfulness": "score", "hallucination": "rate"})

    assert plan.steps == (PlanStep(500, 24 * HOUR), PlanStep(2500, 12 * HOUR), PlanStep(5000, 12 * HOUR))
    assert plan.metrics == (
        PlanMetric("error_rate", "rate", "lower"),
        PlanMetric("faithfulness", "score", "higher"),
        PlanMetric("hallucination", "rate", "lower"),
    )
    assert (plan.alpha, plan.promote_when, plan.on_inconclusive) == (0.05, "proven_safe", "hold")
    assert (plan.max_duration_s, plan.min_units, plan.look_every_s) == (7 * 24 * HOUR, 100, 60)
    assert (plan.auto_promote, plan.auto_rollback) == (True, True)


def test_read_plan__written_out__is_followed_and_survives_json() -> None:
    metric = {"name": "hallucination", "kind": "rate", "direction": "lower", "margin": {"ratio": 2}, "weight": 3}
    written = {
        "steps": [{"weight": "5%", "hold": "10s"}, {"weight": 0.5, "hold": "1m"}],
        "metrics": [metric, {"name": "faithfulness", "kind": "score", "role": "observed"}],
        "alpha": 0.01,
        "max_duration": "2h",
        "look_every": "1s",
        "min_units": 0,
        "auto_promote": False,
    }

    plan = read_plan(written, seen={})

    assert plan.steps == (PlanStep(500, 10), PlanStep(5000, 60))
    assert plan.metrics[0] == PlanMetric("hallucination", "rate", "lower", margin={"ratio": 2.0}, weight=3.0)
    assert plan.metrics[1].role == "observed"
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ([], "plan"),
        ({"alfa": 1}, "plan.alfa"),
        ({"alpha": 2}, "plan.alpha"),
        ({"alpha": "much"}, "plan.alpha"),
        ({"steps": []}, "plan.steps"),
        ({"steps": [{"weight": "5%"}, {"weight": "5%"}]}, "plan.steps"),
        ({"steps": [{"weight": "five"}]}, "plan.steps[0].weight"),
        ({"steps": [{"weight": "0%"}]}, "plan.steps[0].weight"),
        ({"steps": [{"weight": "100%"}]}, "plan.steps[0].weight"),
        ({"steps": [{"weight": "5%"}, {"weight": "6%", "hold": "soon"}]}, "plan.steps[1].hold"),
        ({"steps": [{"hold": "1h"}]}, "plan.steps[0].weight"),
        ({"metrics": []}, "plan.metrics"),
        ({"metrics": [{"name": "unseen"}]}, "plan.metrics[0].kind"),
        ({"metrics": [{"name": "latency", "kind": "score"}]}, "plan.metrics[0].name"),
        ({"metrics": [{"name": "a", "kind": "rate"}, {"name": "a", "kind": "rate"}]}, "plan.metrics"),
        ({"metrics": [{"name": "a", "kind": "rate", "role": "observed"}]}, "plan.metrics"),
        ({"metrics": [{"name": "a", "kind": "score", "margin": {"ratio": 2}}]}, "plan.metrics[0].margin"),
        ({"metrics": [{"name": "a", "kind": "rate", "margin": {}}]}, "plan.metrics[0].margin"),
        ({"metrics": [{"name": "error_rate", "kind": "score"}]}, "plan.metrics[0]"),
        ({"look_every": "0s"}, "plan.look_every"),
        ({"promote_when": "lucky"}, "plan.promote_when"),
    ],
)
def test_read_plan__a_wrong_field__is_named(written: Any, field: str) -> None:
    assert list(problems(written)) == [field]


def test_read_plan__two_wrong_fields__both_are_named() -> None:
    assert set(problems({"alpha": 7, "look_every": "x"})) == {"plan.alpha", "plan.look_every"}


@pytest.mark.parametrize(
    ("written", "bp"), [("5%", 500), (0.05, 500), ("0.1%", 10), ("0.01 %", 1), (1, 10_000), ("0", 0)]
)
def test_read_share__as_people_write_it(written: Any, bp: int) -> None:
    assert read_share_bp(written) == bp


@pytest.mark.parametrize("written", ["", "5 percent", "0.001%", "101%", -0.1, True, None, "nan", float("inf")])
def test_read_share__anything_else__refused(written: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_share_bp(written)


@given(st.integers(0, 10_000))
def test_read_share__every_basis_point__comes_back(bp: int) -> None:
    assert read_share_bp(f"{bp / 100:.2f}%") == bp


@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("0s", 0)]
)
def test_read_duration__as_people_write_it(written: str, seconds: int) -> None:
    assert read_duration_s(written) == seconds


@pytest.mark.parametrize("written", ["", "90", "1.5h", "-1s", "1w", 60, None, "٣s"])
def test_read_duration__anything_else__refused(written: Any) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        read_duration_s(written)

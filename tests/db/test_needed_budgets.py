"""A plan may demand that some of the error budgets is left before its rollout starts."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from common.errors import Conflict, Invalid
from observability.services.objectives import create_objective
from registry import audit
from rollout import forecasting, services
from rollout.models import Rollout, Status
from tests import make, traces
from tests import rollouts as given
from tests.observed import ingest

NOW = datetime(2026, 1, 31, 14, 32, tzinfo=UTC)
NAME = "order-extractor"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def promised() -> Any:
    """10 % of production's calls may fail; of 100 there were, 8 did: a fifth of the budget is left."""
    with time_machine.travel(NOW, tick=False):
        given.prompt()
        promise()
        told = traces.CHAT | {"gen_ai.prompt.name": NAME, "serinus.label": "production"}
        ingest(
            *(
                traces.span(told | ({"error.type": "timeout"} if n < 8 else {}), number=n, trace=n, age_s=3 * 86_400)
                for n in range(100)
            )
        )
        yield


def promise(name: str = "errors", metric: str = "error_rate", **fields: Any) -> None:
    usual = {"comparison": "below", "threshold": 0.1}
    create_objective(prompt_name=NAME, name=name, metric=metric, **usual | fields, actor=make.ANNA)


def start(needs_budget: Any, **fields: Any) -> Rollout:
    plan = given.PLAN | {"needs_budget": needs_budget}
    return services.create_rollout(prompt_name=NAME, canary="1.1", plan=plan, actor=make.ANNA, **fields)


@pytest.mark.parametrize("needed", ["20%", 0.2, {"errors": "15%"}])
def test_start__as_much_left_as_is_needed__starts_and_keeps_the_demand(needed: Any) -> None:
    rollout = start(needed)

    assert rollout.status == Status.RUNNING
    assert rollout.plan["needs_budget_bp"] in (2000, {"errors": 1500})


@pytest.mark.parametrize("needed", ["21%", {"errors": "25%"}])
def test_start__less_left_than_is_needed__refused_with_the_numbers(needed: Any) -> None:
    with pytest.raises(Conflict) as refused:
        start(needed)

    assert refused.value.code == "budget_spent"
    assert "20.0 % is left of the error budget of errors" in refused.value.detail
    (budget,) = refused.value.extra["budgets"]
    assert (budget["name"], budget["n"], budget["met"]) == ("errors", 100, False)
    assert (budget["left"], budget["needed"]) == (pytest.approx(0.2), pytest.approx(0.21, abs=0.05))
    assert not Rollout.objects.exists()


def test_start__less_left_with_a_reason__starts_and_keeps_it() -> None:
    rollout = start("50%", force_reason="it mends the errors")

    assert rollout.status == Status.RUNNING
    assert rollout.force_reason == "it mends the errors"
    assert audit.entries(action="rollout.created").get().reason == "it mends the errors"


def test_start__nothing_measured__is_no_budget_that_is_left() -> None:
    promise("tone", "tone", comparison="above", threshold=0.9)

    with pytest.raises(Conflict) as refused:
        start({"tone": "1%"})

    assert refused.value.extra["budgets"][0]["left"] is None


def test_start__unknown_inactive_or_foreign_objective__refused_by_its_name() -> None:
    promise("asleep", active=False)
    promise("elsewhere", label="staging")

    for name in ("nothing", "asleep", "elsewhere"):
        with pytest.raises(Invalid) as refused:
            start({name: "10%"})
        assert [error.field for error in refused.value.errors] == [f"plan.needs_budget.{name}"]


@pytest.mark.parametrize("needed", ["0%", "101%", "much", {}, {"errors": "0%"}, {"No Name": "5%"}, ["errors"], True])
def test_plan__needs_what_cannot_be__refused(needed: Any) -> None:
    with pytest.raises(Invalid) as refused:
        start(needed)

    assert refused.value.errors[0].field.startswith("plan.needs_budget")


def test_draft__budget_is_asked_for_when_it_starts() -> None:
    rollout = start("50%", start=False)

    with pytest.raises(Conflict) as refused:
        services.start(rollout_id=rollout.pk, actor=make.ANNA, reason="now")

    assert refused.value.code == "budget_spent"
    rollout.refresh_from_db()
    assert rollout.status == Status.DRAFT


def test_forecast__says_what_is_left_and_warns() -> None:
    plan = given.PLAN | {"needs_budget": "50%"}

    found = forecasting.forecast_json(forecasting.forecast(prompt_name=NAME, canary="1.1", plan=plan))

    (budget,) = found["budgets"]
    assert (budget["name"], budget["needed"], budget["met"]) == ("errors", 0.5, False)
    assert found["warnings"][-1] == "20.0 % is left of the error budget of errors, and the plan needs 50 %."

"""`GET /api/v1/spend`: what calls cost, by whom or what, from roll-ups and from calls alike."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from observability import rollups
from observability.privacy import user_hash
from tests import make, observed, traces
from tests.observed import crowd

NOW = "2026-01-31T14:30:00Z"
SOME_DAYS = "2026-01-29T00:00:00Z"
DAYS = {0.1: "2026-01-31", 1.2: "2026-01-31", 30: "2026-01-30"}  # of calls that are so many hours old

pytestmark = pytest.mark.django_db


def get(**query: Any) -> Any:
    return Client().get("/api/v1/spend", query, headers={"Authorization": f"Bearer {make.key('read')}"})


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize("by", ["user", "feature", "environment", "prompt", "model"])
@time_machine.travel(NOW, tick=False)
def test_spend__by_each_dimension__as_computed_plainly(by: str, rolled: bool) -> None:
    calls = crowd(300, ages_h=tuple(DAYS))
    if rolled:
        rollups.roll_up()

    answer = get(by=by, since=SOME_DAYS).json()

    cost: dict[tuple[str | None, str], Decimal] = defaultdict(Decimal)
    n: dict[tuple[str | None, str], int] = defaultdict(int)
    for call in calls:
        value = {"user": call.user and user_hash(call.user), "model": "house-model"}.get(by, getattr(call, by, None))
        at = value, DAYS[call.age_s / 3600]
        cost[at] += call.cost_usd or 0
        n[at] += 1
    told = {(item["value"], day["day"]): day for item in answer["items"] for day in item["days"]}
    assert {at: Decimal(day["cost_usd"]) for at, day in told.items()} == cost
    assert {at: day["calls"] for at, day in told.items()} == n
    totals = [Decimal(item["cost_usd"]) for item in answer["items"]]
    assert totals == sorted(totals, reverse=True)
    unpriced = [call for call in calls if call.cost_usd is None]
    assert answer["total"] == {
        "calls": 300,
        "input_tokens": sum(call.input_tokens for call in calls),
        "output_tokens": sum(call.output_tokens for call in calls),
        "cost_usd": answer["total"]["cost_usd"],
        "unpriced_calls": len(unpriced),
        "unpriced_tokens": sum(call.input_tokens + call.output_tokens for call in unpriced),
    }
    assert Decimal(answer["total"]["cost_usd"]) == sum(cost.values()) == sum(totals)


@time_machine.travel(NOW, tick=False)
def test_spend__limit__the_most_expensive_and_how_many_more() -> None:
    observed.ingest(
        *(
            traces.span(traces.CHAT | {"feature": f"f{n}", "gen_ai.usage.cost": float(n)}, number=n, age_s=age_s)
            for n, age_s in ((1, 10), (2, 7200), (3, 10), (4, 7200))
        )
    )
    rollups.roll_up()

    answer = get(by="feature", limit=2).json()

    assert [(item["value"], item["cost_usd"]) for item in answer["items"]] == [("f4", "4"), ("f3", "3")]
    assert (answer["left_out"], answer["total"]["cost_usd"]) == (2, "10")


@time_machine.travel(NOW, tick=False)
def test_spend__embeddings__cost_too() -> None:
    observed.ingest(traces.span({"gen_ai.operation.name": "embeddings", "gen_ai.usage.cost": 0.25}))

    assert get(by="user").json()["total"]["cost_usd"] == "0.25"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "by"),
        ({"by": "colour"}, "by"),
        ({"by": "user", "prompt": "x"}, "prompt"),
        ({"by": "user", "limit": "1001"}, "limit"),
        ({"by": "user", "until": "soon"}, "until"),
    ],
)
def test_spend__wrong_parameter__422_that_names_it(query: dict[str, str], field: str) -> None:
    response = get(**query)

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


@time_machine.travel(NOW, tick=False)
def test_spend__number_of_queries__the_same_for_any_number_of_hours(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    crowd(200, ages_h=(1.2, 3, 5, 30))
    rollups.roll_up()
    key = {"Authorization": f"Bearer {make.key('read')}"}

    with django_assert_num_queries(7):  # the key, state, stale, hours with calls; sums, days with a value and without
        Client().get("/api/v1/spend", {"by": "feature", "since": SOME_DAYS}, headers=key)

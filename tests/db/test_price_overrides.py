"""The project's own prices: kept under constraints, in force within seconds, and stored calls priced anew by them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries

from common.clock import now
from common.errors import Conflict, NotFound
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.prices import TABLE_VERSION
from observability.ingest import writer
from observability.models import Call, Evidence, PriceOverride
from observability.services import prices
from observability.services.prices import Repriced, add_override, current_overrides, remove_override, reprice
from tests import make, traces

MINI = {
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}
HOUSE = MINI | {"gen_ai.request.model": "house-model"}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
BY_TABLE = (Decimal("0.00021"), "genai-prices", TABLE_VERSION)

pytestmark = pytest.mark.django_db


def override(pattern: str = "gpt-*", **fields: Any) -> PriceOverride:
    """A price of 1 USD for a million tokens in, 2 out: 0.0012 USD for a call of MINI."""
    usual = {"effective_from": LONG_AGO, "input": Decimal(1), "output": Decimal(2)}
    made = add_override(**{**usual, **fields}, pattern=pattern, actor=make.ANNA)
    prices.forget_overrides()  # the test's transaction never ends, on which this waits
    return made


def ingest(*attributes: dict[str, Any], **fields: Any) -> None:
    spans = [traces.span(traces.CHAT | given, number=number, **fields) for number, given in enumerate(attributes)]
    writer.store(decode_protobuf(traces.body(*spans), WANTED).spans)


def costs() -> list[Any]:
    return list(Call.objects.order_by("span_id").values_list("cost_usd", "cost_source", "price_version"))


def repriced(**options: Any) -> Repriced:
    done = Repriced()
    for batch in reprice(**options):
        done.add(batch)
    return done


def test_ingest__override_in_force__cost_by_it_and_the_reported_one_beside() -> None:
    ours = override()

    ingest(MINI | {"gen_ai.usage.cost": 7})

    assert costs() == [(Decimal("0.0012"), "override", f"override {ours.pk}")]
    assert Call.objects.get().reported_usd == 7


def test_current_overrides__asked_often__one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        found = [current_overrides() for _ in range(100)]

    assert set(found) == {found[0]}


def test_current_overrides__another_process_adds_one__seen_after_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [100.0]
    monkeypatch.setattr(prices.time, "monotonic", lambda: seconds[0])
    before = current_overrides()
    PriceOverride.objects.create(
        pattern="*", effective_from=LONG_AGO, input=Decimal(1), output=Decimal(1), created_at=now()
    )

    early = current_overrides()
    seconds[0] += prices.REFRESHED_AFTER_S
    late = current_overrides()

    assert early is before
    assert len(late.in_order) == 1


def test_current_overrides__nothing_changed__the_same_object_so_that_what_is_remembered_stays() -> None:
    override()
    first = current_overrides()
    prices._current.until = 0.0

    assert current_overrides() is first


@pytest.mark.django_db(transaction=True)
def test_add_and_remove__committed__this_process_knows_at_once() -> None:
    assert current_overrides().in_order == ()

    made = add_override(pattern="*", effective_from=LONG_AGO, input=Decimal(1), output=Decimal(1), actor=make.ANNA)
    added = current_overrides().in_order
    remove_override(override_id=made.pk, actor=make.ANNA)

    assert [ours.id for ours in added] == [made.pk]
    assert current_overrides().in_order == ()


def test_add__names__as_calls_tell_them() -> None:
    made = override(" GPT-* ", provider="Vertex_AI")

    assert (made.provider, made.pattern) == ("gcp.vertex_ai", "gpt-*")


def test_add__the_same_provider_pattern_and_time__conflict() -> None:
    override("gpt-*")

    with pytest.raises(Conflict, match="delete it first"):
        override("GPT-*")

    assert PriceOverride.objects.count() == 1


def test_remove__unknown__not_found() -> None:
    with pytest.raises(NotFound):
        remove_override(override_id=7, actor=make.ANNA)


@pytest.mark.parametrize("price", ["input", "cached_input", "cache_write", "output", "call"])
@pytest.mark.parametrize("usd", [Decimal("-0.000001"), Decimal(100_001)])
def test_database__price_out_of_bounds__refused(price: str, usd: Decimal) -> None:
    with pytest.raises(IntegrityError, match=f"price_of_{price}_is_between_0_and_most"), transaction.atomic():
        override(**{price: usd})


def test_reprice__new_override__changed_with_its_version_in_batches_and_once() -> None:
    ingest(*[MINI] * 5)
    ours = override()

    done = list(reprice(batch=2))
    again = repriced()

    assert [batch.calls for batch in done] == [2, 2, 1]
    assert costs() == [(Decimal("0.0012"), "override", f"override {ours.pk}")] * 5
    assert (again.calls, again.changed) == (5, 0)


def test_reprice__stopped_after_a_batch__goes_on_where_it_stood() -> None:
    ingest(*[MINI] * 5)
    override()

    next(reprice(batch=2))
    rest = repriced()

    assert rest.changed == 3


def test_reprice__dry_run__tells_and_writes_nothing() -> None:
    ingest(MINI)
    override()

    done = repriced(dry_run=True)

    assert (done.changed, done.before, done.after) == (1, Decimal("0.00021"), Decimal("0.0012"))
    assert costs() == [BY_TABLE]


def test_reprice__override_removed__by_the_table_again() -> None:
    made = override()
    ingest(MINI, HOUSE)
    remove_override(override_id=made.pk, actor=make.ANNA)

    done = repriced()

    assert costs() == [BY_TABLE, (None, None, None)]
    assert (done.changed, done.unpriced) == (1, 1)


def test_reprice__effective_dates__each_call_by_the_price_of_its_time() -> None:
    ingest(MINI, age_s=7200)
    old, new = override(input=Decimal(3)), override(effective_from=now() - timedelta(hours=1))
    ingest(MINI, MINI, age_s=10)

    repriced()

    assert [version for _, _, version in costs()] == [f"override {old.pk}", f"override {new.pk}"]


def test_reprice__call_of_a_release_that_kept_one_cost__its_reported_cost_is_kept_apart() -> None:
    ingest(HOUSE, MINI)
    Call.objects.update(cost_usd=7, cost_source="reported", price_version=None, reported_usd=None)

    repriced()

    assert costs() == [(7, "reported", None), BY_TABLE]
    assert {call.reported_usd for call in Call.objects.all()} == {7}


@pytest.mark.parametrize(
    ("chosen", "changed"),
    [
        ({"model": "gpt-4o-mini"}, 1),
        ({"model": "gpt-4"}, 0),
        ({"prompt": "order-extractor"}, 1),
        ({"since": datetime(2100, 1, 1, tzinfo=UTC)}, 0),
        ({"until": datetime(2100, 1, 1, tzinfo=UTC)}, 2),
    ],
)
def test_reprice__of_some_calls__only_those(chosen: dict[str, Any], changed: int) -> None:
    ingest(MINI, HOUSE | {"gen_ai.prompt.name": "order-extractor"})
    override("*")

    assert repriced(**chosen).changed == changed


def test_reprice__evidence__as_it_was_counted() -> None:
    make.version(make.prompt(), "2.3")
    stamp = {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "v2.3"}
    ingest(MINI | stamp | {"serinus.exposure": "rol_1:0:canary:182"})
    counted = sorted(Evidence.objects.values_list("metric", "bin", "n"))
    override()

    assert repriced().changed == 1
    assert sorted(Evidence.objects.values_list("metric", "bin", "n")) == counted
    assert "cost_per_call" in {metric for metric, _, _ in counted}


def test_reprice_command__says_what_it_did() -> None:
    ingest(MINI, HOUSE)
    override()

    out = StringIO()
    call_command("reprice", "--since", "2026-01-01", stdout=out)

    assert out.getvalue().splitlines() == [
        "1 of 2 calls changed, in 1 hours: together from 0.000210000000 to 0.001200000000 USD.",
        "1 calls with tokens have no price.",
        "Evidence that rollouts have already counted stays as it is.",
    ]

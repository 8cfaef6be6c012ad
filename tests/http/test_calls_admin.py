"""The admin shows calls and scores, and lets nobody change them."""

from typing import Any

import pytest
from django.test import Client

from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.models import Call, Score
from observability.services.scores import record_scores
from tests import make, traces

pytestmark = pytest.mark.django_db


@pytest.fixture
def someone(admin_client: Client) -> Client:
    """A superuser, when a call of order-extractor@v2.3 has a score."""
    make.version(make.prompt(), "2.3")
    stamp = {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "v2.3"}
    writer.store(decode_protobuf(traces.body(traces.span(traces.CHAT | stamp)), WANTED).spans)
    record_scores(scores=[NewScore(name="tone", value=1, source="judge", span_id=traces.SPAN_ID.hex())])
    return admin_client


@pytest.mark.parametrize(("table", "shown"), [("call", "order-extractor"), ("score", "tone")])
def test_admin__list_and_page(someone: Client, table: str, shown: str) -> None:
    model: Any = {"call": Call, "score": Score}[table]

    listed = someone.get(f"/admin/observability/{table}/")
    page = someone.get(f"/admin/observability/{table}/{model.objects.get().pk}/change/")

    assert (listed.status_code, page.status_code) == (200, 200)
    assert shown in listed.content.decode()
    assert shown in page.content.decode()
    assert 'name="_save"' not in page.content.decode()


@pytest.mark.parametrize("table", ["call", "score"])
def test_admin__adding_and_deleting__forbidden(someone: Client, table: str) -> None:
    model: Any = {"call": Call, "score": Score}[table]

    added = someone.get(f"/admin/observability/{table}/add/")
    deleted = someone.post(f"/admin/observability/{table}/{model.objects.get().pk}/delete/", {"post": "yes"})

    assert (added.status_code, deleted.status_code) == (403, 403)


@pytest.mark.parametrize("table", ["call", "score"])
def test_admin__rows__lead_to_the_trace(someone: Client, table: str) -> None:
    model: Any = {"call": Call, "score": Score}[table]
    address = f"/insights/traces/{bytes(Call.objects.get().trace_id).hex()}"

    listed = someone.get(f"/admin/observability/{table}/").content.decode()
    page = someone.get(f"/admin/observability/{table}/{model.objects.get().pk}/change/").content.decode()

    assert address in listed
    assert address in page


@pytest.mark.parametrize(
    ("sought", "found"),
    [("order-extractor", 1), ("order", 0), (traces.TRACE_ID.hex(), 1), ("ab" * 16, 0), ("nothing", 0), ("", 1)],
)
def test_admin__calls__found_by_what_an_index_finds(someone: Client, sought: str, found: int) -> None:
    page = someone.get("/admin/observability/call/", {"q": sought})

    assert page.context["cl"].result_count == found


def test_admin__many_rows__neither_counted_beyond_a_bound_nor_asked_for_one_by_one(
    someone: Client, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    stamp = {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "v2.3"}
    spans = [traces.span(traces.CHAT | stamp, number=number, trace=number) for number in range(1, 30)]
    writer.store(decode_protobuf(traces.body(*spans), WANTED).spans)
    record_scores(
        scores=[NewScore("tone", 1, "judge", span_id=traces.span_id(number).hex()) for number in range(1, 30)]
    )
    monkeypatch.setattr("registry.admin.read_only.COUNTED", 20)

    for table in ("call", "score"):
        with django_assert_max_num_queries(5):
            page = someone.get(f"/admin/observability/{table}/")
        assert page.context["cl"].result_count == 20

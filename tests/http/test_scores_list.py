"""`GET /api/v1/scores`: every score with its call, or with what it waits for."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from common.clock import now
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.services.scores import give_up_waiting_scores, record_scores
from tests import make, traces

SPAN = traces.SPAN_ID.hex()

pytestmark = pytest.mark.django_db


@pytest.fixture
def get() -> Any:
    headers = {"Authorization": f"Bearer {make.key('read')}"}
    return lambda **query: Client().get("/api/v1/scores", query, headers=headers)


@pytest.fixture
def _four() -> None:
    """A score of each state, in the order of names a to d, a day apart; b is a user's."""
    writer.store(decode_protobuf(traces.body(traces.span()), WANTED).spans)
    with time_machine.travel(now() - timedelta(days=8)):
        record("a_gave_up", response_id="chatcmpl-9")
    give_up_waiting_scores()
    with time_machine.travel(now() - timedelta(days=3)):
        record("b_joined", span_id=SPAN, source="user")
    with time_machine.travel(now() - timedelta(days=2)):
        record("c_exposed", exposure="rol_1:0:canary:7")
    record("d_waiting", trace_id="5" * 32)


def record(name: str, source: str = "judge", **target: Any) -> None:
    record_scores(scores=[NewScore(name=name, value=0.5, source=source, **target)])


@pytest.mark.usefixtures("_four")
def test_scores__all__newest_first_with_their_states(get: Any) -> None:
    items = get().json()["items"]

    told = [(item["name"], item["state"], item["target"]) for item in items]
    assert told == [
        ("d_waiting", "waiting", "trace:" + "5" * 32),
        ("c_exposed", "by_exposure", "exposure:rol_1:0:canary:7"),
        ("b_joined", "joined", f"span:{SPAN}"),
        ("a_gave_up", "gave_up", "response:chatcmpl-9"),
    ]
    assert [item["span_id"] for item in items] == [None, None, SPAN, None]


@pytest.mark.usefixtures("_four")
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"joined": "true"}, ["b_joined"]),
        ({"joined": "false"}, ["d_waiting", "a_gave_up"]),
        ({"name": "c_exposed"}, ["c_exposed"]),
        ({"source": "user"}, ["b_joined"]),
        ({"since": (now() - timedelta(days=2, hours=12)).isoformat()}, ["d_waiting", "c_exposed"]),
    ],
)
def test_scores__filtered(get: Any, query: dict[str, str], names: list[str]) -> None:
    assert [item["name"] for item in get(**query).json()["items"]] == names


@pytest.mark.usefixtures("_four")
def test_scores__page_by_page__all_of_them_once(get: Any) -> None:
    first = get(limit="3").json()
    rest = get(limit="3", cursor=first["next"]).json()

    assert [len(first["items"]), len(rest["items"]), rest["next"]] == [3, 1, None]


@pytest.mark.parametrize("query", [{"joined": "perhaps"}, {"source": "oracle"}, {"since": "lately"}, {"label": "x"}])
def test_scores__wrong_filter__422_that_names_it(get: Any, query: dict[str, str]) -> None:
    response = get(**query)

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == list(query)


@pytest.mark.usefixtures("_four")
def test_scores__queries__do_not_grow_with_the_scores(get: Any, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):  # the key and the page
        get()


def test_scores__without_the_scope_read__403() -> None:
    headers = {"Authorization": f"Bearer {make.key('ingest')}"}

    assert Client().get("/api/v1/scores", headers=headers).status_code == 403

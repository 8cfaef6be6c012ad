"""What is read of calls, spans and scores costs no more for all those that are stored beside."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from common.clock import now
from observability import retention, rollups, selectors
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.models import Call, Score, SpendHour
from observability.selectors import hours
from observability.services.prices import reprice
from observability.services.scored_calls import ScoredCall
from observability.services.scores import join_scores_to, record_scores
from tests import make, traces
from tests.plans import plans, reads_as_a_whole

STAMP = {
    "gen_ai.prompt.name": "order-extractor",
    "gen_ai.prompt.version": "v2.3",
    "serinus.exposure": "rol_06b3t2k9w0x4y8z1c5d7:0:canary:182",
}

pytestmark = pytest.mark.django_db


def ingest(**fields: Any) -> None:
    body = traces.body(traces.span(traces.CHAT | STAMP, **fields))
    writer.store(decode_protobuf(body, WANTED).spans)


def score(**fields: Any) -> None:
    record_scores(scores=[NewScore(**{"name": "hallucination", "value": 1, "source": "judge"} | fields)])


def test_join_scores_to__scores_wait_for_other_calls__not_read() -> None:
    score(response_id="chatcmpl-of-another")

    with plans() as found:
        join_scores_to({"response:chatcmpl-1": ScoredCall(1, None, None, is_llm_call=True)})

    assert [reads_as_a_whole(plan, Score) for plan in found] == [False]


def test_settle_held__overdue__found_among_the_held_alone() -> None:
    ingest(failed=True)
    Call.objects.update(held=True, place=0, started_at=now() - 2 * writer.HELD_FOR)

    with plans() as found:
        settled = writer.settle_held()

    assert settled == 1
    assert not [plan for plan in found if reads_as_a_whole(plan, Call)]


def test_exposed__an_hour__scores_found_by_its_calls() -> None:
    make.version(make.prompt(), "2.3")
    ingest()
    score(trace_id=traces.trace_id(0).hex())

    with plans() as found:
        exposed = hours.exposed(hours.the_hour(hours.hour_of(now() - timedelta(seconds=11))))

    assert [of.scored for of in exposed.values()] == [{"hallucination": 1}]
    assert not [plan for plan in found if reads_as_a_whole(plan, Call) or reads_as_a_whole(plan, Score)]


def test_roll_up__an_hour_again__its_spending_is_found_by_the_dimensions() -> None:
    ingest(age_s=3 * 3600)
    rollups.roll_up()
    ingest(age_s=3 * 3600, trace=1)

    with plans() as found:
        rolled = rollups.roll_up()

    assert rolled == 1
    assert [plan for plan in found if SpendHour._meta.db_table in plan]
    assert not [plan for plan in found if reads_as_a_whole(plan, SpendHour)]


def test_prune__hours_of_spending__found_by_the_dimensions() -> None:
    spending = next(kind for kind in retention.kinds() if kind.name == "hours of spending")

    with plans() as found:
        spending.oldest(now())

    assert [reads_as_a_whole(plan, SpendHour) for plan in found] == [False]


def test_scores__since__not_looked_for_beyond_the_first_of_them() -> None:
    score(response_id="chatcmpl-1")

    with plans() as found:
        listed = list(selectors.scores(since=now() - timedelta(minutes=1)).order_by("-id")[:51])

    assert len(listed) == 1
    assert not [plan for plan in found if reads_as_a_whole(plan, Score)]


def test_scores__since_a_clock_was_set_back__all_that_were_received_since() -> None:
    with time_machine.travel(now(), tick=False) as clock:
        score(response_id="received-first")
        clock.shift(-20 * 60)
        score(response_id="received-second")

        found = selectors.scores(since=now())

        assert {one.target for one in found} == {"response:received-first", "response:received-second"}


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"prompt": "order-extractor"},
        {"prompt": "order-extractor", "since": now() - timedelta(days=1)},
        {"since": now() - timedelta(days=1), "until": now() + timedelta(days=1)},
    ],
)
def test_reprice__batch_by_batch__in_the_order_of_an_index(chosen: dict[str, Any]) -> None:
    ingest()

    with plans() as found:
        done = list(reprice(**chosen))

    assert [batch.calls for batch in done] == [1]
    assert not [plan for plan in found if reads_as_a_whole(plan, Call)]
    # SQLite sorts all that is left before it takes the first of a batch; PostgreSQL plans few rows so anyhow.
    assert not [plan for plan in found if Call._meta.db_table in plan and "TEMP B-TREE" in plan]

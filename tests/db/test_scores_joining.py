"""Scores: recorded once, joined to their call in whatever order both arrive, counted as evidence once."""

import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from common.clock import now
from observability import evidence
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.models import Call, Evidence, Score
from observability.services import scores
from observability.services.scores import Recorded, join_waiting_scores, record_scores
from registry.models import PromptVersion
from tests import make, parallel, traces

ROLLOUT = "rol_06b3t2k9w0x4y8z1c5d7"
EXPOSURE = f"{ROLLOUT}:0:canary:182"
TRACE, SPAN = traces.trace_id(0).hex(), traces.span_id(0).hex()
STAMP = {
    "gen_ai.prompt.name": "order-extractor",
    "gen_ai.prompt.version": "v2.3",
    "gen_ai.response.id": "chatcmpl-1",
    "serinus.exposure": EXPOSURE,
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> PromptVersion:
    return make.version(make.prompt(), "2.3")


def ingest(attributes: dict[str, Any] = STAMP, **fields: Any) -> None:
    """A call of order-extractor@v2.3, served to the canary, arrives; by default in the trace TRACE as span SPAN."""
    body = traces.body(traces.span(traces.CHAT | attributes, **fields))
    writer.store(decode_protobuf(body, WANTED).spans)


def score(value: float = 1, **fields: Any) -> NewScore:
    return NewScore(**{"name": "hallucination", "value": value, "source": "judge"} | fields)


def record(*scores: NewScore) -> Recorded:
    return record_scores(scores=scores)


def evidence_of(version: PromptVersion, metric: str = "hallucination") -> dict[int, int]:
    """Bin → n of the canary's open observations."""
    with transaction.atomic():
        versions = {"control": 0, "canary": version.pk}
        return evidence.take(rollout_id=ROLLOUT, step=0, metric=metric, versions=versions)["canary"]


TARGETS = [
    {"trace_id": TRACE, "span_id": SPAN},
    {"span_id": SPAN},
    {"response_id": "chatcmpl-1"},
    {"trace_id": TRACE},
    {"trace_id": TRACE, "span_id": SPAN, "response_id": "another", "exposure": "rol_other:0:control:1"},
]


@pytest.mark.parametrize("target", TARGETS)
def test_record__after_its_call__joined_at_once(version: PromptVersion, target: dict[str, str]) -> None:
    ingest()

    recorded = record(score(0.25, **target))

    assert recorded == Recorded(accepted=1, duplicates=0, waiting=0)
    assert Score.objects.get().call == Call.objects.get()
    assert evidence_of(version) == {250: 1}


@pytest.mark.parametrize("target", TARGETS)
def test_record__before_its_call__joined_when_it_arrives(version: PromptVersion, target: dict[str, str]) -> None:
    recorded = record(score(0.25, **target))
    ingest()

    assert recorded == Recorded(accepted=1, duplicates=0, waiting=1)
    assert Score.objects.get().call == Call.objects.get()
    assert evidence_of(version) == {250: 1}


def test_record__by_exposure_alone__evidence_without_a_call(version: PromptVersion) -> None:
    recorded = record(score(exposure=EXPOSURE), score(0, exposure=EXPOSURE))

    assert recorded == Recorded(accepted=2, duplicates=0, waiting=0)
    assert set(Evidence.objects.values_list("version_id", flat=True)) == {0}
    assert evidence_of(version) == {1000: 1, 0: 1}


def test_record__same_id_again__the_first_wins(version: PromptVersion) -> None:
    ingest()
    record(score(0.5, id="s1", span_id=SPAN))

    again = record(score(0.9, id="s1", span_id=SPAN), score(0.1, id="s2", span_id=SPAN, name="tone"))

    assert again == Recorded(accepted=1, duplicates=1, waiting=0)
    assert Score.objects.get(key="s1").value == 0.5
    assert evidence_of(version) == {500: 1}


def test_record__same_id_twice_in_one_request__the_first_wins() -> None:
    recorded = record(score(0.5, id="s1", span_id=SPAN), score(0.9, id="s1", span_id=SPAN))

    assert recorded == Recorded(accepted=1, duplicates=1, waiting=1)
    assert Score.objects.get().value == 0.5


@pytest.mark.parametrize("call_first", [True, False])
def test_record__several_of_a_name_for_a_call__only_the_first_counts(
    version: PromptVersion, *, call_first: bool
) -> None:
    if call_first:
        ingest()
    record(score(0.1, span_id=SPAN), score(0.2, response_id="chatcmpl-1"))
    record(score(0.3, trace_id=TRACE), score(0.4, trace_id=TRACE, name="tone"))
    if not call_first:
        ingest()

    counting = Score.objects.filter(counts=True).values_list("name", "value")
    assert set(counting) == {("hallucination", 0.1), ("tone", 0.4)}
    assert Score.objects.filter(call__isnull=False).count() == 4
    assert evidence_of(version) == {100: 1}


def test_record__call_without_exposure__joined_but_no_evidence(version: PromptVersion) -> None:
    ingest({key: STAMP[key] for key in ("gen_ai.prompt.name", "gen_ai.prompt.version")})

    record(score(span_id=SPAN))

    assert Score.objects.get().counts
    assert not Evidence.objects.exists()


def test_record__call_of_an_unknown_version__joined_but_no_evidence(version: PromptVersion) -> None:
    ingest(STAMP | {"gen_ai.prompt.version": "v9.9"})

    record(score(span_id=SPAN))

    assert Score.objects.get().call is not None
    assert not Evidence.objects.exists()


def test_record__about_an_embedding__joined_but_no_evidence(version: PromptVersion) -> None:
    ingest(STAMP | {"gen_ai.operation.name": "embeddings"})

    record(score(span_id=SPAN))

    assert Score.objects.get().call is not None
    assert not Evidence.objects.exists()


def test_record__response_of_very_many_calls__the_newest_alone_is_read(version: PromptVersion) -> None:
    for number in range(3):
        ingest(number=number, trace=number, age_s=10 - number)

    with CaptureQueriesContext(connection) as asked:
        record(score(response_id="chatcmpl-1"))

    newest = Call.objects.get(span_id=traces.span_id(2))
    assert Score.objects.get().call == newest
    (locking,) = [query["sql"] for query in asked if "provider" in query["sql"]]
    assert f"IN ({newest.pk})" in locking


def test_record__about_a_trace__its_newest_call_that_names_a_prompt(version: PromptVersion) -> None:
    ingest(number=0, age_s=30)
    ingest(number=1, age_s=20)
    ingest({}, number=2, age_s=10)
    ingest(STAMP | {"gen_ai.operation.name": "embeddings"}, number=3, age_s=5)

    record(score(trace_id=TRACE))

    call = Score.objects.get().call
    assert call is not None
    assert bytes(call.span_id) == traces.span_id(1)


def test_record__other_span_of_the_trace__waits(version: PromptVersion) -> None:
    ingest(number=1)

    assert record(score(trace_id=TRACE, span_id=SPAN)).waiting == 1


def test_ingest__call_sent_again__its_score_counts_once(version: PromptVersion) -> None:
    record(score(span_id=SPAN))
    ingest(age_s=10)
    ingest(age_s=10)

    assert evidence_of(version) == {1000: 1}


def test_join_waiting__call_that_its_score_could_not_see__joined_by_the_repair(
    version: PromptVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both transactions under way at once on PostgreSQL: the writer sees no waiting score, the score no call."""
    record(score(span_id=SPAN))
    monkeypatch.setattr(scores, "is_any_score_waiting", lambda: False)
    ingest()

    joined = [join_waiting_scores(), join_waiting_scores()]

    assert joined == [1, 0]
    assert evidence_of(version) == {1000: 1}


def test_join_waiting__older_than_a_minute__not_looked_at_again_but_still_waiting(version: PromptVersion) -> None:
    record(score(span_id=SPAN))

    with time_machine.travel(now() + timedelta(seconds=61)):
        join_waiting_scores()
    recheck = Score.objects.get().recheck
    ingest()

    assert not recheck
    assert evidence_of(version) == {1000: 1}


@pytest.mark.django_db(transaction=True)
def test_join_waiting__call_is_being_changed__no_deadlock_with_who_changes_it(
    version: PromptVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who brings spans locks the call, and then the scores that wait for it."""
    record(score(span_id=SPAN))
    with monkeypatch.context() as patch:
        patch.setattr(scores, "is_any_score_waiting", lambda: False)
        ingest()

    with transaction.atomic():
        Call.objects.select_for_update(no_key=True).get()
        joining = parallel.start(join_waiting_scores)
        time.sleep(0.3)
        Score.objects.select_for_update().get()

    assert joining.result(timeout=30) == 1


@pytest.mark.django_db(transaction=True)
def test_record__two_first_scores_at_once__one_counts(version: PromptVersion) -> None:
    ingest()

    futures = [parallel.start(lambda n=n: record(score(n / 10, span_id=SPAN))) for n in range(4)]
    for future in futures:
        future.result(timeout=60)

    assert Score.objects.filter(counts=True).count() == 1
    assert sum(evidence_of(version).values()) == 1


@pytest.mark.django_db(transaction=True)
def test_record__calls_arriving_at_the_same_time__every_score_counts_once(version: PromptVersion) -> None:
    def write() -> None:
        for number in range(10):
            ingest(STAMP | {"gen_ai.response.id": f"chatcmpl-{number}"}, number=number, trace=number)

    def judge() -> None:
        for number in range(10):
            record(score(response_id=f"chatcmpl-{number}"))

    for future in [parallel.start(write), parallel.start(judge)]:
        future.result(timeout=60)
    join_waiting_scores()

    assert not Score.objects.filter(waiting=True).exists()
    assert evidence_of(version) == {1000: 10}

"""Parents and twins that come in another request than the call they belong to, in whatever order."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
import time_machine

from common.clock import now
from observability import evidence
from observability.core.dialects import WANTED
from observability.core.evidence import Exposure
from observability.core.otlp import Span as SentSpan
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import late, writer
from observability.models import Call, CallText, Evidence, OtherSpan, Span
from observability.services.scores import record_scores
from registry.models import PromptVersion
from tests import make, traces

ROLLOUT = "rol_06b3t2k9w0x4y8z1c5d7"
EXPOSURE = Exposure(ROLLOUT, 0, "canary", 182)
PROMPT = {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "v2.3", "serinus.exposure": str(EXPOSURE)}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 240, "gen_ai.usage.output_tokens": 11}
WITH_ID = CHAT | {"gen_ai.response.id": "chatcmpl-1"}
AGENT = {"gen_ai.operation.name": "invoke_agent"}
OTHER = "instrumentation.of.another"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """Stands still: twins must overlap in time, and spans are built as of now, however slow the machine is."""
    with time_machine.travel(now(), tick=False) as traveller:
        yield traveller


@pytest.fixture
def version() -> PromptVersion:
    return make.version(make.prompt(), "2.3")


def sent(*spans: Any, scope: str = "order-app") -> list[SentSpan]:
    return decode_protobuf(traces.body(*spans, scope=scope), WANTED).spans


def measures_counted(version: PromptVersion) -> dict[str, int]:
    versions = {"control": 0, "canary": version.pk}
    return {measure: arms["canary"] for (_, measure), arms in evidence.open_counts(ROLLOUT, versions).items()}


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_store__prompt_on_an_ancestor__in_any_order_of_three_requests(
    version: PromptVersion, order: Sequence[int]
) -> None:
    requests = [
        sent(traces.span(AGENT | PROMPT | {"user.id": "user-42", "feature": "checkout"}, number=0)),
        sent(traces.span({}, number=1, parent=0)),
        sent(traces.span(CHAT, number=2, parent=1)),
    ]

    for index in order:
        writer.store(requests[index])

    call = Call.objects.get()
    assert (call.prompt_name, call.version_id, call.exposure) == ("order-extractor", version.pk, EXPOSURE)
    assert (call.user_hash is None, call.feature) == (False, "checkout")
    assert measures_counted(version) == {"error_rate": 1, "tokens": 1, "latency": 1}


def test_store__trace_of_more_spans_than_are_looked_at__ancestors_are_found_all_the_same(
    version: PromptVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "MOST_SPANS", 3)
    writer.store(sent(traces.span(AGENT | PROMPT, number=200)))
    writer.store(sent(traces.span({}, number=199, parent=200)))
    for number in range(5):
        writer.store(sent(traces.span({}, number=number, parent=200)))

    writer.store(sent(traces.span(CHAT, number=100, parent=199)))

    assert Call.objects.get().version_id == version.pk


@pytest.mark.parametrize("trace_of_twin", [0, 1])
def test_store__twin_came_first_and_the_parent_last__prompt_of_the_parent(
    version: PromptVersion, trace_of_twin: int
) -> None:
    writer.store(sent(traces.span(WITH_ID, number=2, trace=trace_of_twin), scope=OTHER))
    writer.store(sent(traces.span(WITH_ID, number=1, parent=0)))

    writer.store(sent(traces.span(AGENT | PROMPT, number=0)))

    assert Call.objects.get().version_id == version.pk
    assert measures_counted(version) == {"error_rate": 1, "tokens": 1, "latency": 1}


def test_store__call_counted_before_its_late_parent__once(version: PromptVersion) -> None:
    writer.store(sent(traces.span(CHAT | PROMPT, number=1, parent=0)))

    writer.store(sent(traces.span(AGENT | {"user.id": "user-42"}, number=0)))

    assert Call.objects.get().user_hash is not None
    assert measures_counted(version) == {"error_rate": 1, "tokens": 1, "latency": 1}


def test_store__another_prompt_on_the_late_parent__the_calls_own_stays(version: PromptVersion) -> None:
    writer.store(sent(traces.span(CHAT | {"gen_ai.prompt.name": "output-guard"}, number=1, parent=0)))

    writer.store(sent(traces.span(AGENT | PROMPT, number=0)))

    call = Call.objects.get()
    assert (call.prompt_name, call.version_text, call.exposure) == ("output-guard", None, None)


def test_store__circle_of_parents_over_requests__ends(version: PromptVersion) -> None:
    writer.store(sent(traces.span(CHAT, number=1, parent=2)))

    writer.store(sent(traces.span(AGENT | PROMPT, number=2, parent=1)))

    assert Call.objects.get().version_id == version.pk


@pytest.mark.parametrize("second", ["later", "in the same request"])
@pytest.mark.parametrize("first", [0, 1])
def test_store__twin_with_the_same_response__one_call(version: PromptVersion, first: int, second: str) -> None:
    twins = [
        sent(traces.span(WITH_ID | PROMPT, trace=0)),
        sent(traces.span(WITH_ID | {"gen_ai.usage.cache_read.input_tokens": 200}, trace=1), scope=OTHER),
    ]
    requests = [twins[first], twins[1 - first]] if second == "later" else [[*twins[0], *twins[1]]]

    for request in requests:
        writer.store(request)

    call = Call.objects.get()
    assert (call.version_id, call.cached_tokens, call.input_tokens) == (version.pk, 200, 240)
    assert measures_counted(version) == {"error_rate": 1, "tokens": 1, "latency": 1}
    assert (Span.objects.count(), OtherSpan.objects.count()) == (2, 1)


def test_store__same_response_in_one_scope__replayed_by_a_cache_and_two_calls(version: PromptVersion) -> None:
    writer.store(sent(traces.span(WITH_ID | PROMPT, trace=0)))
    writer.store(sent(traces.span(WITH_ID | PROMPT, trace=1)))

    assert Call.objects.count() == 2
    assert measures_counted(version)["error_rate"] == 2


def test_store__late_twin_knows_more__what_was_missing_is_counted_and_nothing_twice(version: PromptVersion) -> None:
    without_tokens = {"gen_ai.operation.name": "chat", "gen_ai.response.id": "chatcmpl-1"} | PROMPT
    writer.store(sent(traces.span(without_tokens, number=1, parent=0)))
    before = measures_counted(version)

    writer.store(sent(traces.span(WITH_ID | {"gen_ai.request.stream": True}, number=0), scope=OTHER))

    assert before == {"error_rate": 1, "latency": 1}
    assert measures_counted(version) == {"error_rate": 1, "latency": 1, "tokens": 1}


@pytest.mark.parametrize("failed_first", [True, False])
def test_store__failed_twins_without_ids_in_two_traces__one_call(failed_first: bool) -> None:
    error = {"gen_ai.operation.name": "chat", "error.type": "429"}
    twins = [
        sent(traces.span(error, trace=0, failed=True)),
        sent(traces.span(error, trace=1, failed=True), scope=OTHER),
    ]

    for request in twins if failed_first else reversed(twins):
        writer.store(request)

    assert Call.objects.get().error_class == "429"


@pytest.mark.parametrize("failed_first", [False, True])
def test_store__failed_twins_of_which_one_has_a_response_id__one_call(failed_first: bool) -> None:
    cut = {"gen_ai.operation.name": "chat", "gen_ai.request.stream": True}
    with_id = sent(traces.span(cut | {"gen_ai.response.id": "chatcmpl-1"}, trace=0, ms=98, failed=True))
    without = sent(traces.span(cut, trace=1, ms=102, age_s=9.998, failed=True), scope=OTHER)

    for spans in [with_id, without] if failed_first else [without, with_id]:
        writer.store(spans)

    assert Call.objects.get().response_id == "chatcmpl-1"


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_store__late_parent_of_a_twin_in_another_trace__its_prompt_whoever_stands_for_the_call(
    version: PromptVersion, order: Sequence[int]
) -> None:
    requests = [
        sent(traces.span(WITH_ID, number=0, trace=0)),
        sent(traces.span(WITH_ID, number=1, parent=2, trace=1), scope=OTHER),
        sent(traces.span(PROMPT, number=2, trace=1)),
    ]

    for index in order:
        writer.store(requests[index])

    assert Call.objects.get().version_id == version.pk


def test_store__score_for_a_twins_span__joined_before_and_after(version: PromptVersion) -> None:
    inner = {"trace_id": traces.trace_id(1).hex(), "span_id": traces.span_id(1).hex()}
    record_scores(scores=[NewScore(name="faithfulness", value=0.9, source="judge", **inner)])
    writer.store(sent(traces.span(WITH_ID | PROMPT, trace=0, number=0)))

    writer.store(sent(traces.span(WITH_ID, trace=1, number=1), scope=OTHER))
    record_scores(scores=[NewScore(name="relevance", value=0.8, source="judge", **inner)])

    assert dict(Call.objects.get().scores.values_list("name", "counts")) == {"faithfulness": True, "relevance": True}
    counted = measures_counted(version)
    assert (counted["faithfulness"], counted["relevance"]) == (1, 1)


def test_store__scored_before_its_exposure_is_known__the_score_is_evidence_with_the_call(
    version: PromptVersion,
) -> None:
    writer.store(sent(traces.span(WITH_ID, number=1, parent=0)))
    record_scores(scores=[NewScore(name="faithfulness", value=0.9, source="judge", response_id="chatcmpl-1")])

    writer.store(sent(traces.span(AGENT | PROMPT, number=0)))

    assert measures_counted(version)["faithfulness"] == 1


def test_store__third_span_shows_that_two_calls_are_one__the_older_keeps_their_scores(version: PromptVersion) -> None:
    tokens: Mapping[str, Any] = {"gen_ai.operation.name": "chat"}
    writer.store(sent(traces.span(tokens | {"gen_ai.response.id": "a"}, number=2, parent=1)))
    writer.store(sent(traces.span(CHAT, number=0), scope="outermost"))
    for span in (2, 0):
        about = {"trace_id": traces.trace_id(0).hex(), "span_id": traces.span_id(span).hex()}
        record_scores(scores=[NewScore(name="faithfulness", value=0.9, source="judge", **about)])
    assert Call.objects.count() == 2

    writer.store(sent(traces.span(tokens, number=1, parent=0), scope=OTHER))

    call = Call.objects.get()
    assert (call.other_spans.count(), call.scores.count(), call.scores.filter(counts=True).count()) == (2, 2, 1)


def test_store__two_calls_turn_out_to_be_one__keeps_the_text_of_either(version: PromptVersion) -> None:
    writer.store(sent(traces.span({"gen_ai.operation.name": "chat", "gen_ai.response.id": "a"}, number=2, parent=1)))
    writer.store(sent(traces.span(CHAT, number=0), scope="outermost"))
    newest = Call.objects.order_by("pk").last()
    CallText.objects.create(call=newest, output_text="Hello", kept_because="error", stored_at=now())

    writer.store(sent(traces.span({"gen_ai.operation.name": "chat"}, number=1, parent=0), scope=OTHER))

    assert CallText.objects.get().call == Call.objects.get() != newest


@pytest.mark.parametrize("scored", [[2], [0], [2, 0], [0, 2]])
@pytest.mark.parametrize("exposed", [2, 0])
def test_store__two_calls_turn_out_to_be_one__its_score_is_evidence_once(
    version: PromptVersion, exposed: int, scored: Sequence[int]
) -> None:
    inner = {"gen_ai.operation.name": "chat", "gen_ai.response.id": "a"}
    writer.store(sent(traces.span(inner | (PROMPT if exposed == 2 else {}), number=2, parent=1)))
    writer.store(sent(traces.span(CHAT | (PROMPT if exposed == 0 else {}), number=0), scope="outermost"))
    for span in scored:
        about = {"trace_id": traces.trace_id(0).hex(), "span_id": traces.span_id(span).hex()}
        record_scores(scores=[NewScore(name="faithfulness", value=0.9, source="judge", **about)])

    writer.store(sent(traces.span({"gen_ai.operation.name": "chat"}, number=1, parent=0), scope=OTHER))

    assert Call.objects.get().scores.filter(counts=True).count() == 1
    assert measures_counted(version)["faithfulness"] == 1


def test_settle_held__stream_cut_off_with_nothing_that_tells_otherwise__evidence_after_a_while(
    version: PromptVersion,
) -> None:
    cut = {"gen_ai.operation.name": "chat", "gen_ai.request.stream": True} | PROMPT
    writer.store(sent(traces.span(cut)))
    assert (Call.objects.get().held, Evidence.objects.exists()) == (True, False)

    with time_machine.travel(now() + writer.HELD_FOR - timedelta(minutes=1)):
        too_early = writer.settle_held()
    with time_machine.travel(now() + writer.HELD_FOR + timedelta(minutes=1)):
        settled = writer.settle_held()

    assert (too_early, settled) == (0, 1)
    assert (Call.objects.get().held, measures_counted(version)) == (False, {"error_rate": 1})


def test_store__score_of_a_held_call__evidence_at_once_and_once(version: PromptVersion) -> None:
    cut = {"gen_ai.operation.name": "chat", "gen_ai.request.stream": True} | PROMPT
    about = {"trace_id": traces.trace_id(0).hex(), "span_id": traces.span_id(0).hex()}
    writer.store(sent(traces.span(cut)))

    record_scores(scores=[NewScore(name="faithfulness", value=0.1, source="judge", **about)])
    with time_machine.travel(now() + 2 * writer.HELD_FOR):
        writer.settle_held()

    assert measures_counted(version) == {"error_rate": 1, "faithfulness": 1}


def test_store__record_of_a_stream_that_waits_for_its_own_request__no_other_takes_it(version: PromptVersion) -> None:
    record = CHAT | {"logfire.span_type": "log", "duration": 0.5}
    request = {"gen_ai.operation.name": "chat", "request_data": '{"stream": true}'}
    writer.store(sent(traces.span(record, number=1, parent=0, ms=0), scope="logfire.openai"))

    around = traces.span({}, number=0)
    of_another = traces.span(request, number=1, trace=1, ms=10, age_s=10.49)
    writer.store(sent(around, of_another, scope="logfire.openai"))

    assert Call.objects.count() == 2


def test_store__record_of_a_stream_in_a_trace_of_its_own__one_call(version: PromptVersion) -> None:
    record = traces.span(CHAT | {"logfire.span_type": "log", "duration": 0.5}, number=2, trace=1, ms=0)
    request = {"gen_ai.operation.name": "chat", "request_data": '{"stream": true}'} | PROMPT

    writer.store(sent(record, traces.span(request, ms=10, age_s=10.49), scope="logfire.openai"))

    call = Call.objects.get()
    assert (call.output_tokens, call.prompt_name, call.error) == (11, "order-extractor", False)
    assert call.duration_ms == pytest.approx(500, abs=1)

"""Which calls are chosen to be judged: by design, for having failed, and what becomes of that when more is known."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.clock import now
from observability.ingest import writer
from observability.judging import sampling
from observability.models import Call, Evaluation, EvaluationText, EvaluatorKind, JudgingDay, RetrievedText, Score
from tests import judged, traces

pytestmark = pytest.mark.django_db

ROLLOUT = "rol_1"
CANARY, CONTROL = f"{ROLLOUT}:0:canary:7", f"{ROLLOUT}:0:control:7"


def chosen() -> list[tuple[Any, ...]]:
    rows = Evaluation.objects.order_by("id")
    return list(rows.values_list("evaluator_version__ordinal", "probability", "by_design", "urgent", "status"))


def test_store__nothing_judged__no_statement_more_and_no_text_kept() -> None:
    sampling.current_rules()

    with CaptureQueriesContext(connection) as asked:
        judged.send_call()

    assert not [query for query in asked.captured_queries if "evalua" in query["sql"] or "judg" in query["sql"]]
    assert not EvaluationText.objects.exists()


def test_store__rules_asked_again_and_again__one_statement_a_second() -> None:
    sampling.forget_rules()

    with CaptureQueriesContext(connection) as asked:
        for _ in range(5):
            sampling.current_rules()

    assert len(asked) == 1


def test_store__below_and_above_the_share__only_the_first_is_chosen() -> None:
    version = judged.evaluator()
    judged.judge(judged.prompt(), version, share_bp=200)
    below, above = judged.trace_under(0.02), judged.trace_over(0.02)

    judged.send_call(below)
    judged.send_call(above)

    (evaluation,) = Evaluation.objects.all()
    assert bytes(evaluation.call.trace_id) == traces.trace_id(below)
    assert (evaluation.probability, evaluation.by_design, evaluation.urgent) == (0.02, True, False)
    assert evaluation.evaluator_version == version
    assert evaluation.next_attempt_at - evaluation.created_at == sampling.SETTLE
    assert EvaluationText.objects.get().output_text == judged.OUTPUT


def test_store__sent_again__chosen_once() -> None:
    judged.judge(judged.prompt(), judged.evaluator())

    for _ in range(3):
        judged.send_call()

    assert Evaluation.objects.count() == 1


def test_store__other_prompt_or_unknown_version__not_chosen() -> None:
    judged.judge(judged.prompt(), judged.evaluator())
    judged.prompt("another")

    judged.send_call(1, name="another")
    judged.send_call(2, **{"gen_ai.prompt.version": "9.9"})

    assert chosen() == []
    assert not EvaluationText.objects.exists()


def test_store__the_judge_s_own_call__not_chosen() -> None:
    version = judged.evaluator(kind=EvaluatorKind.JUDGE)
    assert version.template is not None
    judged.judge(version.template.prompt, version)

    judged.send_call(name=version.template.prompt.name)

    assert chosen() == []


def test_store__external_evaluator__nothing_to_ask() -> None:
    judged.judge(judged.prompt(), judged.evaluator(kind=EvaluatorKind.EXTERNAL))

    judged.send_call()

    assert chosen() == []


def test_store__several_versions__the_newest_judges() -> None:
    version = judged.evaluator()
    judged.evaluator(ordinal=2)
    judged.judge(judged.prompt(), version)

    judged.send_call()

    assert chosen() == [(2, 1.0, True, False, "waiting")]


def test_store__rollout_pinned_a_version_and_shares__by_these() -> None:
    version = judged.evaluator()
    judged.evaluator(ordinal=2)
    judged.judge(judged.prompt(), version, share_bp=5_000)
    judged.fix_share(ROLLOUT, "canary", version, 1.0)
    judged.fix_share(ROLLOUT, "control", version, 0.01)
    where = judged.trace_over(0.01)

    judged.send_call(where, exposure=CANARY)
    judged.send_call(where + 10**6, trace=judged.trace_over(0.01, after=where), exposure=CONTROL)

    assert chosen() == [(1, 1.0, True, True, "waiting")]


def test_store__rollout_that_started_a_moment_ago__its_shares_are_known_at_once() -> None:
    version = judged.evaluator()
    judged.judge(judged.prompt(), version, share_bp=1)
    sampling.current_rules()
    judged.fix_share(ROLLOUT, "canary", version, 1.0)

    judged.send_call(judged.trace_over(0.5), exposure=CANARY)

    assert chosen() == [(1, 1.0, True, True, "waiting")]


def test_store__failed_above_the_share__chosen_for_that_and_no_evidence() -> None:
    judged.judge(judged.prompt(), judged.evaluator(), share_bp=200)

    judged.send_call(judged.trace_over(0.02), failed=True)
    writer.settle_held()

    assert chosen() == [(1, 1.0, False, False, "waiting")]


def test_store__failed_without_output__not_chosen_for_that() -> None:
    judged.judge(judged.prompt(), judged.evaluator(), share_bp=200)

    judged.send_call(judged.trace_over(0.02), failed=True, out=None)

    assert chosen() == []


def test_store__failed_below_the_share__by_design_and_certain() -> None:
    judged.judge(judged.prompt(), judged.evaluator(), share_bp=200)

    judged.send_call(judged.trace_under(0.02), failed=True)

    assert chosen() == [(1, 1.0, True, False, "waiting")]


def test_store__prompt_and_exposure_come_with_the_parent__chosen_then_with_the_text_that_came_before() -> None:
    version = judged.evaluator()
    judged.judge(judged.prompt(), version, share_bp=200)
    judged.fix_share(ROLLOUT, "canary", version, 1.0)
    where = judged.trace_over(0.02)
    said = judged.attributes()
    parent = {key: said.pop(key) for key in ("gen_ai.prompt.name", "gen_ai.prompt.version")}

    judged.send(traces.span(said, number=1, trace=where, parent=2))
    before = chosen()
    judged.send(traces.span(parent | {"serinus.exposure": CANARY}, number=2, trace=where, name="POST /orders"))

    assert (before, chosen()) == ([], [(1, 1.0, True, True, "waiting")])
    text = EvaluationText.objects.get()
    assert (text.output_text, text.in_doubt) == (judged.OUTPUT, False)


def test_store__exposure_comes_later__the_probability_is_the_arm_s() -> None:
    version = judged.evaluator()
    judged.judge(judged.prompt(), version, share_bp=200)
    judged.fix_share(ROLLOUT, "canary", version, 1.0)
    where = judged.trace_under(0.02)

    judged.send(traces.span(judged.attributes(), number=1, trace=where, parent=2))
    before = chosen()
    judged.send(traces.span({"serinus.exposure": CANARY}, number=2, trace=where, name="POST /orders"))

    assert before == [(1, 0.02, True, False, "waiting")]
    assert chosen() == [(1, 1.0, True, True, "waiting")]


def test_store__exposure_comes_later_with_a_lower_share__withdrawn_with_its_text() -> None:
    version = judged.evaluator()
    judged.judge(judged.prompt(), version, share_bp=5_000)
    judged.fix_share(ROLLOUT, "control", version, 0.0001)
    where = judged.trace_under(0.5)
    while sampling.place(traces.trace_id(where)) < 0.0001:
        where = judged.trace_under(0.5, after=where)

    judged.send(traces.span(judged.attributes(), number=1, trace=where, parent=2))
    judged.send(traces.span({"serinus.exposure": CONTROL}, number=2, trace=where, name="POST /orders"))

    assert chosen() == []
    assert not EvaluationText.objects.exists()


def test_store__output_comes_with_another_instrumentation_s_span__one_evaluation_with_it() -> None:
    judged.judge(judged.prompt(), judged.evaluator())
    answered = {"gen_ai.response.id": "chatcmpl-1"}
    inner = traces.CHAT | answered | {"gen_ai.completion.0.content": judged.OUTPUT}

    judged.send(traces.span(judged.attributes(out=None, **answered), number=1, trace=1))
    judged.send(traces.span(inner, number=2, trace=1, parent=1), scope="another")

    assert Call.objects.count() == 1
    assert chosen() == [(1, 1.0, True, False, "waiting")]
    assert EvaluationText.objects.get().output_text == judged.OUTPUT


def test_move__both_were_chosen__one_evaluation_stays_and_it_is_the_one_with_a_score() -> None:
    judged.judge(judged.prompt(), judged.evaluator())
    judged.send_call(1)
    judged.send_call(2)
    first, second = Evaluation.objects.order_by("id")
    score = Score.objects.create(
        key="s", target="span:1", call=second.call, waiting=False, recheck=False, counts=True, name="faithfulness",
        value=0.5, source="judge", received_at=second.created_at,
    )  # fmt: skip
    Evaluation.objects.filter(pk=second.pk).update(status="scored", score=score)

    sampling.move(from_calls=[second.call_id], to_call=first.call_id)

    (left,) = Evaluation.objects.all()
    assert (left.pk, left.call_id, left.score_id) == (second.pk, first.call_id, score.pk)
    assert not EvaluationText.objects.filter(call_id=second.call_id, output_text=None).exists()


@pytest.mark.parametrize("pinned", [False, True])
def test_store__prompt_that_asked_a_judge_once__judged_unless_a_rollout_fixed_that_version(pinned: bool) -> None:
    judge, check = judged.evaluator(kind=EvaluatorKind.JUDGE), judged.evaluator("brevity")
    judged.evaluator(ordinal=2)
    if pinned:
        judged.fix_share("rol_1", "canary", judge, 1.0)
    assert judge.template is not None
    judged.judge(judge.template.prompt, check)

    judged.send_call(name=judge.template.prompt.name)

    assert Evaluation.objects.count() == (0 if pinned else 1)


def test_store__budget_used_up__counted_as_missing_and_no_text_kept() -> None:
    prompt, version = judged.prompt(), judged.evaluator(kind=EvaluatorKind.JUDGE)
    judged.judge(prompt, version, calls_a_day=0)
    JudgingDay.objects.create(prompt=prompt, day=now().date())

    judged.send_call()

    (evaluation,) = Evaluation.objects.all()
    assert (evaluation.status, evaluation.missing) == ("missing", "budget")
    assert not EvaluationText.objects.exists()


@pytest.mark.parametrize("pinned", [False, True])
def test_store__budget_used_up__a_check_waits_all_the_same_with_its_text(pinned: bool) -> None:
    prompt, version = judged.prompt(), judged.evaluator()
    judged.judge(prompt, version, calls_a_day=0)
    if pinned:
        judged.fix_share("rol_1", "canary", version, 1.0)
    JudgingDay.objects.create(prompt=prompt, day=now().date())

    judged.send_call(exposure="rol_1:0:canary:7")

    (evaluation,) = Evaluation.objects.all()
    assert (evaluation.status, evaluation.missing) == ("waiting", "")
    assert EvaluationText.objects.get().output_text == judged.OUTPUT


def test_store__personal_data__scrubbed_before_it_is_kept(settings: Any) -> None:
    settings.STORE_TEXT = False
    judged.judge(judged.prompt(), judged.evaluator())

    judged.send_call(into="I am anna@example.com", out="Call +49 30 1234567")

    text = EvaluationText.objects.get()
    assert (text.input_text, text.output_text) == ("I am [email]", "Call [phone]")


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    low=st.floats(min_value=1e-3, max_value=1),
    high=st.floats(min_value=1e-3, max_value=1),
    ids=st.lists(st.binary(min_size=16, max_size=16), max_size=50),
)
def test_place__any_two_shares__the_larger_chooses_what_the_lower_would(
    low: float, high: float, ids: list[bytes]
) -> None:
    low, high = sorted((low, high))

    chosen_low = {id_ for id_ in ids if sampling.place(id_) < low}

    assert chosen_low <= {id_ for id_ in ids if sampling.place(id_) < high}


def test_store__two_evaluators__the_same_traces_first() -> None:
    prompt = judged.prompt()
    often, seldom = judged.evaluator("relevance"), judged.evaluator("faithfulness")
    judged.judge(prompt, often, share_bp=5_000)
    judged.judge(prompt, seldom, share_bp=1_000)

    judged.send(*(traces.span(judged.attributes(), number=n, trace=n) for n in range(200)))

    by = {
        version.evaluator.name: set(
            Evaluation.objects.filter(evaluator_version=version).values_list("call_id", flat=True)
        )
        for version in (often, seldom)
    }
    assert by["faithfulness"] < by["relevance"]


def test_documents__no_evaluator_needs_them__none_kept() -> None:
    judged.judge(judged.prompt(), judged.evaluator())

    send_with_documents()

    assert not RetrievedText.objects.exists()


def test_documents__of_a_chosen_call__scrubbed_and_kept() -> None:
    judged.judge(judged.prompt(), judged.evaluator(kind=EvaluatorKind.RAGAS))

    send_with_documents()

    kept = RetrievedText.objects.get()
    assert kept.documents == ["Mail to [email]", "Mugs are red."]
    assert not kept.in_doubt


def test_documents__of_a_trace_that_is_not_chosen__none_kept() -> None:
    judged.judge(judged.prompt(), judged.evaluator(kind=EvaluatorKind.RAGAS), share_bp=200)

    send_with_documents(judged.trace_over(0.02))

    assert not RetrievedText.objects.exists()


def test_documents__before_their_call__in_doubt_until_it_is_chosen() -> None:
    judged.judge(judged.prompt(), judged.evaluator(kind=EvaluatorKind.RAGAS))

    judged.send(retrieval(1))
    before = RetrievedText.objects.get().in_doubt
    judged.send_call(7, trace=1)

    assert (before, RetrievedText.objects.get().in_doubt) == (True, False)


def test_documents__after_their_call__kept_for_it() -> None:
    judged.judge(judged.prompt(), judged.evaluator(kind=EvaluatorKind.RAGAS))

    judged.send_call(7, trace=1)
    judged.send(retrieval(1))

    assert not RetrievedText.objects.get().in_doubt


def test_documents__only_the_version_that_a_rollout_pinned_needs_them__kept_for_it() -> None:
    pinned = judged.evaluator(kind=EvaluatorKind.RAGAS)
    judged.evaluator(ordinal=2)
    judged.judge(judged.prompt(), pinned)
    judged.fix_share(ROLLOUT, "canary", pinned, 1.0)

    send_with_documents()

    assert RetrievedText.objects.exists()


def send_with_documents(trace: int = 1) -> None:
    judged.send(retrieval(trace), traces.span(judged.attributes(), number=7, trace=trace, parent=8))


def retrieval(trace: int) -> Any:
    said = {
        "openinference.span.kind": "RETRIEVER",
        "retrieval.documents.0.document.content": "Mail to anna@example.com",
        "retrieval.documents.1.document.content": "Mugs are red.",
    }
    return judged.retrieval(said, number=8, trace=trace)

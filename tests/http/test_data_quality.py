"""`GET /api/v1/data-quality`: what was refused, and what was taken but is not all it should be."""

from typing import Any

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from observability import quality, rollups
from observability.core.scores import NewScore
from observability.models import Call, OtherSpan, Refused
from observability.services.scores import record_scores
from tests import make, rollouts, traces
from tests.observed import ingest

NOW = "2026-01-31T14:30:00Z"
OF_PROMPT = traces.CHAT | {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "1.0"}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def get(**query: str) -> Any:
    return Client().get("/api/v1/data-quality", query, headers={"Authorization": f"Bearer {make.key('read')}"})


def calls(*attributes: dict[str, Any], age_s: float = 7200, ms: float = 100, first: int = 0) -> None:
    """One call of each, two hours ago; their numbers count from `first`."""
    ingest(*(traces.span(told, number=n, age_s=age_s, ms=ms) for n, told in enumerate(attributes, start=first)))


@pytest.fixture(params=[False, True], ids=["live", "rolled"])
def settle(request: pytest.FixtureRequest) -> Any:
    """Called when the calls are there: they are rolled up or not, and the figures are the same."""
    return rollups.roll_up if request.param else lambda: None


def test_data_quality__nothing_at_all__every_figure_zero() -> None:
    answer = get().json()

    assert answer == {
        "since": "2026-01-30T14:00:00Z",
        "until": "2026-01-31T15:00:00Z",
        "refused": {"spans": {}, "evaluations": {}},
        "calls": 0,
        "calls_without_prompt": 0,
        "calls_without_version": 0,
        "calls_with_unknown_version": {"calls": 0, "versions": []},
        "ttft_is_total": {"calls": 0, "streams": 0},
        "merged_calls": 0,
        "held_attempts": 0,
        "unpriced": {"calls": 0, "tokens": 0, "models": []},
        "calls_with_unassigned_version": {"calls": 0, "versions": []},
        "calls_with_unknown_rollout": {"calls": 0, "rollouts": []},
        "canary_calls_scored": [],
        "scores_without_a_call": {"waiting": 0, "given_up": 0},
    }


def test_data_quality__refused__by_reason_and_hour(clock: time_machine.Traveller) -> None:
    quality.count_refused(Refused.SPANS, {"of two days ago": 1})
    clock.shift(2 * 86400)
    quality.count_refused(Refused.SPANS, {"without ids": 2, "from the future": 9, "never seen": 0})
    clock.shift(3600)
    quality.count_refused(Refused.SPANS, {"without ids": 3})
    quality.count_refused(Refused.EVALUATIONS, {"no number": 1})

    assert get().json()["refused"] == {
        "spans": {"from the future": 9, "without ids": 5},
        "evaluations": {"no number": 1},
    }


def test_data_quality__calls_that_name_too_little__counted(settle: Any) -> None:
    rollouts.prompt()
    named = {"gen_ai.prompt.name": "order-extractor"}
    calls(
        OF_PROMPT,
        traces.CHAT,
        traces.CHAT | named,
        *[OF_PROMPT | {"gen_ai.prompt.version": "9.9"}] * 2,
        OF_PROMPT | {"gen_ai.prompt.name": "order-extracter"},
    )
    settle()

    answer = get().json()

    assert [answer[name] for name in ("calls", "calls_without_prompt", "calls_without_version")] == [6, 1, 1]
    assert answer["calls_with_unknown_version"] == {
        "calls": 3,
        "versions": [
            {"prompt": "order-extractor", "version": "9.9", "calls": 2},
            {"prompt": "order-extracter", "version": "1.0", "calls": 1},
        ],
    }


def test_data_quality__first_token_that_came_with_the_last__counted(settle: Any) -> None:
    told = [(0.1, 50), (0.0999, 50), (0.099, 50), (0.1, 5)]  # seconds of 0.1 to the first token, output tokens
    calls(
        *(
            traces.CHAT | {"gen_ai.response.time_to_first_chunk": first_s, "gen_ai.usage.output_tokens": tokens}
            for first_s, tokens in told
        )
    )
    settle()

    assert get().json()["ttft_is_total"] == {"calls": 2, "streams": 4}


def test_data_quality__unpriced_tokens__by_model_the_most_first(settle: Any) -> None:
    used = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5}
    calls(
        traces.CHAT | used | {"gen_ai.request.model": "small"},
        traces.CHAT | used | {"gen_ai.request.model": "house"},
        traces.CHAT | used | {"gen_ai.request.model": "house", "gen_ai.response.model": "house-7"},
        traces.CHAT | used | {"gen_ai.request.model": "house", "gen_ai.response.model": "house-7"},
        traces.CHAT | used | {"gen_ai.request.model": "small", "gen_ai.usage.cost": 0.1},
    )
    settle()

    assert get().json()["unpriced"] == {
        "calls": 4,
        "tokens": 60,
        "models": [
            {"model": "house-7", "calls": 2, "tokens": 30},
            {"model": "house", "calls": 1, "tokens": 15},
            {"model": "small", "calls": 1, "tokens": 15},
        ],
    }


def test_data_quality__exposures__held_against_the_rollouts(settle: Any) -> None:
    rollout = rollouts.rollout()
    canary, control = f"{rollout.id}:0:canary:7", f"{rollout.id}:0:control:7"
    calls(
        OF_PROMPT | {"serinus.exposure": control},
        OF_PROMPT | {"serinus.exposure": canary},
        OF_PROMPT | {"serinus.exposure": canary},
        OF_PROMPT | {"serinus.exposure": canary, "gen_ai.prompt.version": "1.1"},
        OF_PROMPT | {"serinus.exposure": control, "gen_ai.prompt.version": "7.7"},
        OF_PROMPT | {"serinus.exposure": "rol_gone:0:canary:7"},
    )
    settle()

    answer = get().json()

    assert answer["calls_with_unassigned_version"] == {
        "calls": 3,
        "versions": [
            {"rollout": rollout.id, "arm": "canary", "expected": "v1.1", "version": "v1.0", "calls": 2},
            {"rollout": rollout.id, "arm": "control", "expected": "v1.0", "version": None, "calls": 1},
        ],
    }
    assert answer["calls_with_unknown_rollout"] == {"calls": 1, "rollouts": [{"rollout": "rol_gone", "calls": 1}]}


def test_data_quality__canary_calls_scored__by_score_also_one_that_never_came(settle: Any) -> None:
    rollout = rollouts.rollout()  # its plan judges by error_rate and hallucination
    canary = OF_PROMPT | {"serinus.exposure": f"{rollout.id}:0:canary:7", "gen_ai.prompt.version": "1.1"}
    calls(*[canary] * 4, OF_PROMPT | {"serinus.exposure": f"{rollout.id}:0:control:7"})
    record_scores(
        scores=[NewScore(name="tone", value=1, source="judge", span_id=traces.span_id(n).hex()) for n in (0, 0, 1, 2)]
    )
    settle()

    scored = {"rollout": rollout.id, "canary_calls": 4}
    assert get().json()["canary_calls_scored"] == [
        {"score": "hallucination", "scored": 0, "share": 0, **scored},
        {"score": "tone", "scored": 3, "share": 0.75, **scored},
    ]


def test_data_quality__scores_without_a_call__waiting_or_given_up() -> None:
    from observability.models import Score

    record_scores(
        scores=[
            NewScore(name="tone", value=1, source="judge", id="a", span_id="a" * 16),
            NewScore(name="tone", value=1, source="judge", id="b", span_id="b" * 16),
            NewScore(name="tone", value=1, source="judge", id="c", exposure="rol_1:0:canary:1"),
        ]
    )
    Score.objects.filter(key="b").update(waiting=False, recheck=False)

    assert get().json()["scores_without_a_call"] == {"waiting": 1, "given_up": 1}


def test_data_quality__merged_calls_and_held_attempts__counted(settle: Any) -> None:
    calls(traces.CHAT, traces.CHAT, traces.CHAT)
    merged, held, _ = Call.objects.order_by("span_id")
    for number in (7, 8):
        OtherSpan.objects.create(trace_id=traces.TRACE_ID, span_id=traces.span_id(number), call=merged)
    Call.objects.filter(pk=held.pk).update(held=True)
    settle()

    answer = get().json()

    assert (answer["calls"], answer["merged_calls"], answer["held_attempts"]) == (2, 1, 1)


def test_data_quality__unknown_parameter__422_that_names_it() -> None:
    response = get(prompt="order-extractor")

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["prompt"]


def test_data_quality__number_of_queries__the_same_for_any_number_of_hours(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    rollouts.prompt()
    for number, hours in enumerate((2, 3, 5, 9)):
        calls(OF_PROMPT | {"serinus.exposure": "rol_1:0:canary:1"}, age_s=hours * 3600, first=number)
    rollups.roll_up()
    key = {"Authorization": f"Bearer {make.key('read')}"}

    # The key; three times the state, stale hours, what is stored and the calls that are not rolled up; versions;
    # refused; held, waiting, given up; rollouts.
    with django_assert_num_queries(19):
        Client().get("/api/v1/data-quality", headers=key)


@pytest.mark.parametrize(("scope", "status"), [("ingest", 403), ("read", 200)])
def test_data_quality__scope(scope: str, status: int) -> None:
    response = Client().get("/api/v1/data-quality", headers={"Authorization": f"Bearer {make.key(scope)}"})

    assert response.status_code == status

"""Rollouts over REST, as a program drives them."""

import json
from typing import Any

import pytest
from django.test import Client

from registry import services as registry
from rollout.models import Rollout
from tests import rollouts as given
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

Api = Any


@pytest.fixture
def api(client: Client) -> Api:
    """Calls the API with a key of all scopes: api("GET", "rollouts") or api("POST", "rollouts", {...})."""
    _, key = registry.issue_key(name="tests", scopes=["read", "write"], actor=ANNA)

    def call(method: str, path: str, body: Any = None, **headers: str) -> Any:
        return client.generic(
            method,
            f"/api/v1/{path}",
            b"" if body is None else json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}", **headers},
        )

    return call


def test_post__starts_it_and_answers_the_shape_of_the_product_page(api: Api) -> None:
    given.prompt()

    answer = api("POST", "rollouts", {"prompt": "order-extractor", "canary": "v1.1", "plan": given.PLAN})

    body = answer.json()
    assert answer.status_code == 201
    assert body["status"] == "running"
    assert (body["control"], body["canary"], body["label"]) == ("v1.0", "v1.1", "production")
    assert body["steps"] == [{"weight_bp": 500, "hold_s": 10}, {"weight_bp": 5000, "hold_s": 10}]
    assert (body["step"], body["weight_bp"], body["revision"], body["verdict"]) == (0, 500, 2, None)
    assert body["created_by"] == "key:tests"
    assert body["started_at"].endswith("Z")
    assert answer["Location"] == f"/api/v1/rollouts/{body['id']}"


def test_post__bad_plan__422_with_the_path_of_every_wrong_field(api: Api) -> None:
    given.prompt()
    plan = {"steps": [{"weight": "5%"}, {"weight": "never"}], "alpha": 3}

    answer = api("POST", "rollouts", {"prompt": "order-extractor", "canary": "1.1", "plan": plan})

    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert {error["field"] for error in answer.json()["errors"]} == {"plan.steps[1].weight", "plan.alpha"}


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"canary": "1.1"}, 422, "invalid", "prompt"),
        ({"prompt": "order-extractor", "canary": "1.1", "weight": 5}, 422, "invalid", "weight"),
        ({"prompt": "nothing", "canary": "1.1"}, 404, "unknown_prompt", None),
        ({"prompt": "order-extractor", "canary": "7.7"}, 404, "unknown_version", None),
        ({"prompt": "order-extractor", "canary": "1.0"}, 409, "canary_is_control", None),
        ([], 422, "invalid", ""),
        ({"prompt": "order-extractor", "canary": "1.1", "plan": []}, 422, "invalid_plan", "plan"),
        ({"prompt": "order-extractor", "canary": "1.1", "plan": False}, 422, "invalid_plan", "plan"),
    ],
)
def test_post__something_wrong__is_named(api: Api, body: Any, status: int, code: str, field: str | None) -> None:
    given.prompt()

    answer = api("POST", "rollouts", body)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert problem["request_id"] == answer["X-Request-Id"]
    if field is not None:
        assert [error["field"] for error in problem["errors"]] == [field]
    assert not Rollout.objects.exists()


def test_post__second_rollout_of_the_label__409_names_the_first(api: Api) -> None:
    first = given.rollout()

    answer = api("POST", "rollouts", {"prompt": "order-extractor", "canary": "1.1"})

    assert (answer.status_code, answer.json()["code"], answer.json()["rollout"]) == (409, "rollout_active", first.id)


def test_actions__with_reason_and_revision__walk_through_the_states(api: Api) -> None:
    rollout = given.rollout(start=False)

    for action, status in [
        ("start", "running"),
        ("pause", "paused"),
        ("resume", "running"),
        ("rollback", "rolled_back"),
    ]:
        revision = api("GET", f"rollouts/{rollout.id}").json()["revision"]
        answer = api("POST", f"rollouts/{rollout.id}/{action}", {"reason": "because", "revision": revision})
        assert (answer.status_code, answer.json()["status"]) == (200, status)

    transitions = api("GET", f"rollouts/{rollout.id}/transitions").json()
    assert [t["action"] for t in transitions["items"]] == ["rolled_back", "resumed", "paused", "started"]
    assert transitions["items"][0]["reason"] == "because"
    assert transitions["next"] is None


def test_action__without_a_reason__422(api: Api) -> None:
    answer = api("POST", f"rollouts/{given.rollout().id}/pause", {})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reason")


def test_action__stale_revision__409_in_the_body_as_in_if_match(api: Api) -> None:
    rollout = given.rollout()

    by_body = api("POST", f"rollouts/{rollout.id}/pause", {"reason": "x", "revision": 1})
    by_header = api("POST", f"rollouts/{rollout.id}/pause", {"reason": "x"}, **{"If-Match": '"1"'})
    fresh = api("POST", f"rollouts/{rollout.id}/pause", {"reason": "x"}, **{"If-Match": '"2"'})

    assert [answer.status_code for answer in (by_body, by_header, fresh)] == [409, 409, 200]
    assert by_body.json()["code"] == by_header.json()["code"] == "stale_revision"
    assert by_body.json()["revision"] == 2
    assert fresh["ETag"] == '"3"'


def test_action__revision_and_if_match_differ__400(api: Api) -> None:
    rollout = given.rollout()

    answer = api("POST", f"rollouts/{rollout.id}/pause", {"reason": "x", "revision": 2}, **{"If-Match": '"1"'})

    assert (answer.status_code, answer.json()["code"]) == (400, "revisions_differ")


def test_action__illegal__409_with_both_sides(api: Api) -> None:
    answer = api("POST", f"rollouts/{given.rollout().id}/resume", {"reason": "x"})

    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
    assert (answer.json()["rollout_status"], answer.json()["action"]) == ("running", "resume")


@pytest.mark.parametrize(("path", "status"), [("rollouts/rol_x", 404), ("rollouts/rol_x/explode", 404)])
def test_unknown__404_problem(api: Api, path: str, status: int) -> None:
    answer = api("POST" if path.endswith("explode") else "GET", path, None)

    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")


def test_list__newest_first_filtered_and_paged_with_a_bounded_number_of_queries(
    api: Api, django_assert_max_num_queries: Any
) -> None:
    for name in ("alpha", "beta", "gamma"):
        given.look_now(given.rollout(name))

    with django_assert_max_num_queries(3):
        first = api("GET", "rollouts?limit=2").json()
    second = api("GET", f"rollouts?limit=2&cursor={first['next']}").json()

    assert [item["prompt"] for item in first["items"] + second["items"]] == ["gamma", "beta", "alpha"]
    assert second["next"] is None
    assert first["items"][0]["verdict"]["kind"] == "undecided"
    assert [r["prompt"] for r in api("GET", "rollouts?prompt=beta&status=running").json()["items"]] == ["beta"]
    assert api("GET", "rollouts?status=sleeping").status_code == 422


def test_verdicts__newest_first_with_their_numbers(api: Api) -> None:
    rollout = given.rollout()
    for seed in (1, 2):
        given.observe(rollout, "hallucination", control=(950, 17), canary=(50, 1), seed=seed)
        given.look_now(rollout)

    items = api("GET", f"rollouts/{rollout.id}/verdicts").json()["items"]

    assert [item["metrics"][1]["canary"]["n"] for item in items] == [100, 50]
    assert {"log_e_harm", "log_threshold", "reasons", "kind", "at", "metrics", "step"} <= set(items[0])


@pytest.mark.parametrize(
    ("scopes", "method", "status"), [([], "GET", 401), (["ingest"], "GET", 403), (["read"], "POST", 403)]
)
def test_scopes__read_reads_and_write_changes(client: Client, scopes: list[str], method: str, status: int) -> None:
    headers = {}
    if scopes:
        _, key = registry.issue_key(name="narrow", scopes=scopes, actor=ANNA)
        headers = {"Authorization": f"Bearer {key}"}

    assert client.generic(method, "/api/v1/rollouts", headers=headers).status_code == status

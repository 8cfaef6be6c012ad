"""Evaluators over REST: made, published, tried, and set upon prompts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from observability.models import Evaluation, Judging, Score
from rollout.serving import snapshot_cache
from tests import judges, make
from tests.judges import Provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def judge(settings: Any) -> Iterator[Provider]:
    with judges.provider() as provider:
        settings.JUDGE_URL = provider.url
        yield provider


@pytest.fixture
def ask() -> Any:
    key = make.key("write")
    snapshot_cache.cache.refresh()

    def send(method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        content_type = "application/json"
        return Client().generic(method, f"/api/v1/{path}", _json(body), content_type=content_type, headers=headers)

    return send


def _json(body: Any) -> bytes:
    return b"" if body is None else json.dumps(body).encode()


def test_evaluator__made_and_published__read_with_its_newest_version(ask: Any) -> None:
    assert ask("POST", "evaluators", {"name": "brevity", "score": "is_brief"}).status_code == 201

    published = ask(
        "POST",
        "evaluators/brevity/versions",
        {"kind": "check", "config": {"check": "length", "most": 80}, "notes": "first"},
    )

    assert published.status_code == 201
    assert published["Location"] == "/api/v1/evaluators/brevity/versions/1"
    found = ask("GET", "evaluators/brevity").json()
    assert (found["score"], found["newest"]["ref"]) == ("is_brief", "brevity@1")
    assert found["newest"]["config"] == {"check": "length", "unit": "characters", "least": None, "most": 80}
    assert ask("GET", "evaluators/brevity/versions/1").json() == found["newest"]
    assert ask("GET", "evaluators/brevity/versions").json()["items"] == [found["newest"]]
    assert ask("GET", "evaluators").json()["items"] == [found]


def test_evaluators__many__same_number_of_queries(ask: Any, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(5):
        make.judge_version(f"tone-{number}")

    with django_assert_num_queries(3):
        items = ask("GET", "evaluators").json()["items"]

    assert [item["newest"]["template"] for item in items] == [f"judge-tone-{n}@v1.0" for n in (4, 3, 2, 1, 0)]


def test_publish__fault__named_by_field(ask: Any) -> None:
    make.evaluator()

    answer = ask(
        "POST", "evaluators/brevity/versions", {"kind": "check", "config": {"check": "pattern"}, "notes": "first"}
    )

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["config.pattern"]


@pytest.mark.parametrize("path", ["evaluators/none", "evaluators/brevity/versions/2", "evaluators/%00"])
def test_read__not_there__404(ask: Any, path: str) -> None:
    make.evaluator_version(check="length", most=9)

    assert ask("GET", path).status_code in {400, 404}


def test_try__judge__said_and_nothing_stored(ask: Any, judge: Provider) -> None:
    make.judge_version(template="Does {{ output }} follow from {{ documents }}?")
    judge.says(score=0.4, reason="it names another author")

    answer = ask("POST", "evaluators/faithfulness/try", {"output": "Emily", "documents": ["Emma, by Jane Austen"]})

    said = answer.json()
    assert answer.status_code == 200
    assert (said["value"], said["reason"], said["missing"]) == (0.4, "it names another author", None)
    assert (said["model"], said["cost_usd"]) == ("gpt-4o-mini-2024-07-18", "0.000027")
    assert "Emily" in judge.asked[0].text
    assert (Score.objects.count(), Evaluation.objects.count()) == (0, 0)


def test_try__judge_that_is_down__missing_with_its_reason(ask: Any, settings: Any) -> None:
    settings.JUDGE_URL = judges.nobody()
    make.judge_version()

    said = ask("POST", "evaluators/faithfulness/try", {"output": "Emily"}).json()

    assert (said["value"], said["missing"], said["try_again"]) == (None, "unreachable", True)


def test_try__what_is_not_published__said(ask: Any) -> None:
    make.evaluator()

    said = ask(
        "POST",
        "evaluators/brevity/try",
        {"kind": "check", "config": {"check": "length", "most": 3}, "output": "too long"},
    ).json()

    assert (said["value"], said["label"]) == (0, "fail")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"output": "x"}, 404),
        ({"ordinal": 1, "kind": "check", "config": {"check": "length", "most": 3}}, 422),
        ({"kind": "check", "config": {"check": "taste"}}, 422),
        ({"kind": "check", "config": {"check": "json_schema"}, "response_schema": [1]}, 422),
    ],
)
def test_try__nothing_to_try__refused(ask: Any, body: Any, status: int) -> None:
    make.evaluator()

    assert ask("POST", "evaluators/brevity/try", body).status_code == status


def test_judging__put_and_deleted__listed_meanwhile(ask: Any) -> None:
    make.prompt()
    make.evaluator_version(check="length", most=9)
    path = "prompts/order-extractor/judgings"

    put = ask("PUT", f"{path}/brevity", {"share_bp": 500})

    expected = {
        "evaluator": "brevity",
        "score": "brevity",
        "share_bp": 500,
        "canary_share_bp": 10_000,
        "active": True,
    }
    assert put.json() == expected
    assert ask("GET", path).json()["items"] == [expected]
    assert ask("DELETE", f"{path}/brevity").status_code == 204
    assert not Judging.objects.exists()


def test_budget__put__read(ask: Any) -> None:
    make.prompt()
    path = "prompts/order-extractor/judging-budget"
    assert ask("GET", path).json() == {"calls_a_day": 5_000, "usd_a_day": "5"}

    put = ask("PUT", path, {"calls_a_day": None, "usd_a_day": "0.25"})

    assert put.json() == {"calls_a_day": None, "usd_a_day": "0.25"}
    assert ask("GET", path).json() == put.json()

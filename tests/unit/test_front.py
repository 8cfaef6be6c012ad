"""What stands in front of Django: it answers the read path as Django's views do, and lets all else through."""

import json
from collections.abc import Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.wsgi import get_wsgi_application
from pytest_django import DjangoAssertNumQueries

from rollout.serving import front, snapshot_cache
from rollout.serving.front import in_front_of
from tests import make
from tests.served import CANARY_AT_5_PERCENT, make_prompt, make_rollout

pytestmark = pytest.mark.django_db

Answer = tuple[str, dict[str, str], bytes]


@pytest.fixture
def key() -> str:
    make_rollout(make_prompt())
    key = make.key("read")
    snapshot_cache.cache.refresh()
    return key


def ask(application: Any, path: str, query: str = "", method: str = "GET", **headers: str) -> Answer:
    """Status line, headers and body. headers: as WSGI names them, without HTTP_."""
    environ: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": method}
    environ |= {f"HTTP_{name}": value for name, value in headers.items()}
    setup_testing_defaults(environ)
    answer: list[Any] = []
    chunks: Iterable[bytes] = application(environ, lambda *given: answer.extend(given))
    return answer[0], {name.lower(): value for name, value in answer[1]}, b"".join(chunks)


def django(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"Django"]


@pytest.mark.parametrize(
    ("path", "query", "method"),
    [
        ("/prompts/order-extractor", f"unit={CANARY_AT_5_PERCENT}", "GET"),
        ("/prompts/order-extractor", "version=2.2", "GET"),
        ("/prompts/order-extractor", "%76ersion=2.2", "GET"),
        ("/prompts/order-extractor", "%75nit=user-8&la%62el=production", "GET"),
        ("/prompts/order-extractor", f"unit={CANARY_AT_5_PERCENT}", "HEAD"),
        ("/prompts/order-extractor", "", "DELETE"),
        ("/prompts/nothing", "", "GET"),
        ("/prompts/J\u00c3\u00bcrgen", "", "GET"),
        ("/prompts/order-extractor", "lable=x", "GET"),
        ("/ruleset", "label=production", "GET"),
        ("/ruleset", "wait=99", "GET"),
        ("/ruleset", "", "PUT"),
    ],
)
def test_front_and_view__same_answer(key: str, path: str, query: str, method: str) -> None:
    headers = {"AUTHORIZATION": f"Bearer {key}", "X_REQUEST_ID": "req-1"}

    in_front = ask(in_front_of(django), path, query, method, **headers)
    behind = ask(get_wsgi_application(), path, query, method, **headers)

    assert (in_front[0], in_front[2]) == (behind[0], behind[2])
    assert in_front[1].items() <= behind[1].items()
    assert in_front[1]["x-request-id"] == "req-1"
    assert in_front[1]["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/", "/prompts", "/prompts/a/b", "/rulesets", "/ruleset/", "/livez", "/v1/traces", ""]
)
def test_front__other_address__django_answers(path: str) -> None:
    assert ask(in_front_of(django), path)[2] == b"Django"


def test_front__etag_sent_back__304(key: str) -> None:
    application = in_front_of(django)
    for path in ("/prompts/order-extractor", "/ruleset"):
        _, headers, _ = ask(application, path, "label=latest", AUTHORIZATION=f"Bearer {key}")

        again = ask(application, path, "label=latest", AUTHORIZATION=f"Bearer {key}", IF_NONE_MATCH=headers["etag"])

        assert (again[0], again[2]) == ("304 Not Modified", b"")


def test_front__refused__with_an_id_of_its_own(key: str) -> None:
    status, headers, body = ask(in_front_of(django), "/prompts/order-extractor", X_REQUEST_ID="not an id")

    assert status == "401 Unauthorized"
    assert json.loads(body)["request_id"] == headers["x-request-id"]
    assert headers["x-request-id"].startswith("req_")


def test_front__served_from_memory__no_sql(key: str, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        for query in (f"unit={CANARY_AT_5_PERCENT}", "", "label=latest"):
            answer = ask(in_front_of(django), "/prompts/order-extractor", query, AUTHORIZATION=f"Bearer {key}")
            assert answer[0] == "200 OK"


@pytest.mark.parametrize(("query", "times"), [("version=2.2", 2), ("%76ersion=2.2", 2), ("unit=user-8", 0), ("", 0)])
def test_front__what_may_need_the_database__connections_as_of_a_request(
    key: str, query: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(front, "close_old_connections", lambda: closed.append(True))

    assert ask(in_front_of(django), "/prompts/order-extractor", query, AUTHORIZATION=f"Bearer {key}")[0] == "200 OK"

    assert len(closed) == times

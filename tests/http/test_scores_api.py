"""`POST /api/v1/scores`, as judges and apps see it."""

import json
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from observability.api import scores as services
from observability.models import Score
from tests import make, traces

SCORE = {"trace_id": traces.TRACE_ID.hex(), "name": "hallucination", "value": 1, "source": "judge"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def key() -> str:
    return make.key("ingest")


def post(key: str, sent: Any) -> Any:
    body = sent if isinstance(sent, bytes) else json.dumps(sent)
    headers = {"Authorization": f"Bearer {key}"}
    return Client().post("/api/v1/scores", body, content_type="application/json", headers=headers)


def errors(response: Any) -> dict[str, str]:
    """Field → message of a problem document."""
    assert response["Content-Type"] == "application/problem+json"
    return {error["field"]: error["message"] for error in response.json()["errors"]}


def test_scores__one_object__what_became_of_it(key: str) -> None:
    response = post(key, SCORE | {"label": "yes", "comment": "made up a SKU", "evaluator": "judge-7"})

    assert response.status_code == 200
    assert response.json() == {"accepted": 1, "duplicates": 0, "waiting": 1}
    stored = Score.objects.get()
    assert (stored.name, stored.value, stored.source) == ("hallucination", 1.0, "judge")
    assert (stored.label, stored.comment, stored.evaluator) == ("yes", "made up a SKU", "judge-7")


def test_scores__array__idempotent_by_id(key: str) -> None:
    sent = [SCORE | {"id": f"s{n}"} for n in range(1000)]
    post(key, sent[:10])

    response = post(key, sent)

    assert response.json() == {"accepted": 990, "duplicates": 10, "waiting": 990}
    assert Score.objects.count() == 1000


@pytest.mark.parametrize("value", [0, 1, 0.5, 1.0])
def test_scores__value_within_0_and_1__accepted(key: str, value: float) -> None:
    assert post(key, SCORE | {"value": value}).status_code == 200


@pytest.mark.parametrize("value", [b"-0.001", b"1.001", b"1e999", b'"0.5"', b"true", b"null", b"[]", b"9" * 400])
def test_scores__value_that_is_none__422(key: str, value: bytes) -> None:
    response = post(key, json.dumps(SCORE | {"value": 0}).encode().replace(b'"value": 0', b'"value": ' + value))

    assert response.status_code == 422
    assert list(errors(response)) == ["value"]
    assert not Score.objects.exists()


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_scores__constant_that_json_does_not_have__400(key: str, constant: bytes) -> None:
    response = post(key, json.dumps(SCORE | {"value": 0}).encode().replace(b'"value": 0', b'"value": ' + constant))

    assert (response.status_code, response.json()["code"]) == (400, "malformed_json")
    assert constant.decode() in response.json()["detail"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "error_rate"),
        ("name", "latency"),
        ("name", "ttft"),
        ("name", "cost_per_call"),
        ("name", "Hallucination"),
        ("name", "a" * 101),
        ("name", ""),
        ("source", "oracle"),
        ("trace_id", "5b8efff7"),
        ("trace_id", "g" * 32),
        ("span_id", "eee19b7ec3c1b1741"),
        ("exposure", "rol_1:0:canary:256"),
        ("id", "x" * 201),
        ("response_id", ["a"]),
        ("verdict", "good"),
    ],
)
def test_scores__wrong_field__422_that_names_it(key: str, field: str, value: Any) -> None:
    response = post(key, SCORE | {field: value})

    assert response.status_code == 422
    assert list(errors(response)) == [field]


@pytest.mark.parametrize("field", ["name", "value", "source"])
def test_scores__required_field_missing__422_that_names_it(key: str, field: str) -> None:
    response = post(key, {name: value for name, value in SCORE.items() if name != field})

    assert response.status_code == 422
    assert list(errors(response)) == [field]


def test_scores__nothing_it_is_about__422(key: str) -> None:
    response = post(key, SCORE | {"trace_id": None})

    assert response.status_code == 422
    assert errors(response) == {"": "expected one of trace_id, span_id, response_id, exposure"}


def test_scores__one_wrong_in_an_array__none_is_recorded_and_the_path_tells_which(key: str) -> None:
    response = post(key, [SCORE, SCORE, SCORE, SCORE | {"value": 2}, SCORE | {"trace_id": None}])

    assert response.status_code == 422
    assert set(errors(response)) == {"[3].value", "[4]"}
    assert not Score.objects.exists()


@pytest.mark.parametrize("sent", [[], [SCORE] * 1001, "score", None, 5, [5]])
def test_scores__neither_an_object_nor_1_to_1000_of_them__422(key: str, sent: Any) -> None:
    assert post(key, sent).status_code == 422


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b'{"name": "\xed\xa0\x80"}'])
def test_scores__malformed_json__400(key: str, body: bytes) -> None:
    response = post(key, body)

    assert response.status_code == 400
    assert response.json()["code"] == "malformed_json"


def test_scores__ids_in_capitals__the_same_ids(key: str) -> None:
    post(key, SCORE | {"trace_id": traces.TRACE_ID.hex().upper()})

    assert Score.objects.get().target == f"trace:{traces.TRACE_ID.hex()}"


def test_scores__text_that_no_database_holds__cleaned(key: str) -> None:
    response = post(key, json.dumps(SCORE | {"comment": "a\0b\ud800c"}).encode())

    assert response.status_code == 200
    assert Score.objects.get().comment == "ab?c"


@pytest.mark.parametrize(("scope", "status"), [("read", 403), ("write", 403), ("admin", 200), ("ingest", 200)])
def test_scores__scope(scope: str, status: int) -> None:
    assert post(make.key(scope), SCORE).status_code == status


def test_scores__without_key__401() -> None:
    assert Client().post("/api/v1/scores", SCORE, content_type="application/json").status_code == 401


def test_scores__database_away__503_and_come_back_soon(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def record_scores(**_: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(services, "record_scores", record_scores)

    response = post(key, SCORE)

    assert response.status_code == 503
    assert 1 <= int(response["Retry-After"]) <= 3

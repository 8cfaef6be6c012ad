"""The endpoint on a state made by hand: no database, no Django request (faults 30 and 31)."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from common.errors import Unavailable
from registry.keys import hash_key
from registry.models import Prompt, PromptVersion
from registry.representation import served_json
from rollout.serving import answers, snapshot, snapshot_cache
from rollout.serving.answers import Chosen, encode_version, pinned_answer
from rollout.serving.documents import NEVER, Changes, KeyDocument, PromptDocument, RolloutDocument
from rollout.serving.endpoint import get_prompt
from rollout.serving.responses import Response
from rollout.serving.snapshot import Asked
from rollout.serving.state_file import StateFile
from tests.served import CANARY_AT_5_PERCENT, CONTROL_AT_5_PERCENT, SALT

PROMPT = Prompt(name="order-extractor")


def version(ordinal: int, minor: int, **content: Any) -> dict[str, Any]:
    fields = {"template": "Extract {{ order }}", "config": {"model": "gpt-4o-mini"}} | content
    return served_json(
        PromptVersion(prompt=PROMPT, ordinal=ordinal, major=2, minor=minor, patch=0, sha256="ab" * 32, **fields)
    )


CHAT = {
    "type": "chat",
    "template": [{"role": "system", "content": 'Grüße, "{{ who }}"'}, {"type": "placeholder", "name": "history"}],
    "input_schema": {"type": "object"},
    "response_schema": {"type": "array"},
}
ROLLOUT = RolloutDocument(id="rol_1", salt=SALT, weight_bp=500, step=1, control="v2.2", canary="v2.3")
SERVED = PromptDocument(
    name="order-extractor",
    generation=7,
    archived=False,
    numbers=[[100, 1, 2, 2, 0], [200, 2, 2, 3, 0], [300, 3, 2, 4, 0]],
    labels={
        "production": {"version": "v2.2", "rollout": ROLLOUT},
        "staging": {"version": "v2.4", "rollout": None},
    },
    versions={
        "v2.2": version(1, 2),
        "v2.3": version(2, 3, template="Extract {{ order }} for {{ shop }}"),
        "v2.4": version(3, 4, **CHAT),
    },
)
ARCHIVED = PromptDocument(name="old", generation=3, archived=True, numbers=[], labels={}, versions={})
STATE = Changes(
    since=NEVER,
    generation=7,
    prompts={"order-extractor": SERVED, "old": ARCHIVED},
    keys={
        hash_key(key): KeyDocument(sha256=hash_key(key), name=name, scopes=[scope], revoked=False)
        for key, name, scope in (("reader", "app", "read"), ("ingester", "collector", "ingest"))
    },
)


@pytest.fixture(autouse=True)
def _state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_cache, "changes_since", lambda since: STATE if since == NEVER else None)
    snapshot_cache.cache.refresh()


def get(query: str = "", *, name: str = "order-extractor", method: str = "GET", **request: str) -> Response:
    return get_prompt(method=method, name=name, query=query, **{"authorization": "Bearer reader"} | request)


def body(response: Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.body)
    return found


def header(response: Response, name: str) -> str | None:
    values = [value for header, value in response.headers if header == name]
    assert len(values) <= 1
    return values[0] if values else None


# What is answered


def test_label__no_rollout__the_whole_version_and_sticky() -> None:
    response = get("label=staging")

    assert response.status == 200
    assert body(response) == {
        "name": "order-extractor",
        "version": "v2.4",
        "ordinal": 3,
        "ref": "order-extractor@v2.4",
        "label": "staging",
        "type": "chat",
        "template": [{"role": "system", "content": 'Grüße, "{{ who }}"'}, {"type": "placeholder", "name": "history"}],
        "variables": ["who", "history"],
        "config": {"model": "gpt-4o-mini"},
        "input_schema": {"type": "object"},
        "response_schema": {"type": "array"},
        "sha256": "ab" * 32,
        "reason": "label",
        "sticky": True,
        "rollout": None,
        "trace": {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "v2.4", "serinus.label": "staging"},
    }
    assert header(response, "Content-Type") == "application/json"
    assert header(response, "Content-Length") == str(len(response.body))


@pytest.mark.parametrize(
    ("unit", "arm", "number", "unit_bucket"),
    [(CANARY_AT_5_PERCENT, "canary", "v2.3", 182), (CONTROL_AT_5_PERCENT, "control", "v2.2", 71)],
)
def test_label__rollout_and_unit__arm_by_hash_with_its_exposure(
    unit: str, arm: str, number: str, unit_bucket: int
) -> None:
    found = body(get(f"unit={unit}"))

    assert (found["version"], found["label"], found["reason"], found["sticky"]) == (number, "production", arm, True)
    assert found["rollout"] == {"id": "rol_1", "arm": arm, "step": 1, "weight": 0.05, "weight_bp": 500}
    assert found["trace"] == {
        "gen_ai.prompt.name": "order-extractor",
        "gen_ai.prompt.version": number,
        "serinus.label": "production",
        "serinus.exposure": f"rol_1:1:{arm}:{unit_bucket}",
    }


def test_label__rollout_without_unit__drawn_by_weight_and_not_sticky() -> None:
    answers = [body(get()) for _ in range(2000)]

    # Binomial(2000, 0.05): fewer than 50 or more than 160 canaries come once in 10^7 runs.
    assert 50 <= sum(a["reason"] == "canary" for a in answers) <= 160
    assert not any(a["sticky"] for a in answers)
    assert {a["rollout"]["arm"] for a in answers} == {"control", "canary"}
    # 2000 draws out of 256 unit buckets miss more than 30 of them with a chance below 10^-12.
    assert len({a["trace"]["serinus.exposure"].rsplit(":")[-1] for a in answers}) > 225


@pytest.mark.parametrize("written", ["2.3", "v2.3", "2.3.0", "2"])
def test_version__pinned__bypasses_the_rollout(written: str) -> None:
    found = body(get(f"version={written}&unit={CONTROL_AT_5_PERCENT}"))

    assert (found["version"], found["reason"], found["label"], found["rollout"]) == ("v2.3", "pinned", None, None)
    assert found["sticky"] is True
    assert "serinus.exposure" not in found["trace"]


def test_version__label_also_given__version_wins() -> None:
    assert body(get("label=staging&version=2.2"))["version"] == "v2.2"


# Units


@pytest.mark.parametrize(
    ("query", "unit_header"),
    [
        (f"unit={CANARY_AT_5_PERCENT}", ""),
        ("", CANARY_AT_5_PERCENT),
        ("unit=", CANARY_AT_5_PERCENT),
        (f"unit={CANARY_AT_5_PERCENT}", CONTROL_AT_5_PERCENT),
    ],
    ids=["query", "header", "empty query", "both"],
)
def test_unit__query_before_header__an_empty_one_is_none(query: str, unit_header: str) -> None:
    found = body(get(query, unit_header=unit_header))

    assert (found["reason"], found["sticky"]) == ("canary", True)


@pytest.mark.parametrize("unit", ["Jürgen", "ユーザー42", "😀"])
def test_unit__not_ascii__same_by_query_header_and_raw_bytes(unit: str) -> None:
    raw = unit.encode().decode("latin-1")
    quoted = "".join(f"%{byte:02X}" for byte in unit.encode())

    exposures = {
        body(response)["trace"]["serinus.exposure"]
        for response in (get(f"unit={quoted}"), get(f"unit={raw}"), get(unit_header=raw))
    }

    assert exposures == {f"rol_1:1:{body(get(f'unit={quoted}'))['reason']}:{second_hash(unit)}"}


def test_unit__latin_1_header__read_as_what_it_says() -> None:
    sent_by_http_client = "Jürgen"  # its bytes in Latin-1 are no UTF-8

    assert get(unit_header=sent_by_http_client).body == get("unit=J%C3%BCrgen").body


def second_hash(unit: str) -> int:
    return hashlib.sha256(f"unit-bucket:{SALT}:{unit}".encode()).digest()[0]


def remembered() -> Mapping[Asked, Chosen]:
    return snapshot_cache.cache.current()[0].remembered


def test_same_request__again__remembered_and_the_same_answer() -> None:
    first, *others = (get(f"unit={CANARY_AT_5_PERCENT}") for _ in range(3))

    assert [*remembered()] == [("order-extractor", f"unit={CANARY_AT_5_PERCENT}", "Bearer reader", "")]
    assert all(other.body == first.body for other in others)


def test_same_request__another_key_unit_or_prompt__an_answer_of_its_own() -> None:
    get(f"unit={CANARY_AT_5_PERCENT}")

    assert get(f"unit={CANARY_AT_5_PERCENT}", authorization="Bearer wrong").status == 401
    assert get(f"unit={CANARY_AT_5_PERCENT}", authorization="Bearer ingester").status == 403
    assert get(f"unit={CANARY_AT_5_PERCENT}", name="old").status == 410
    assert body(get(f"unit={CONTROL_AT_5_PERCENT}"))["reason"] == "control"


def test_same_request__something_has_changed__answered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    get("label=staging")
    revoked = {hash_key("reader"): KeyDocument(sha256=hash_key("reader"), name="app", scopes=["read"], revoked=True)}

    monkeypatch.setattr(snapshot_cache, "changes_since", lambda _: Changes(NEVER + 1, NEVER + 2, {}, revoked))
    snapshot_cache.cache.refresh()

    assert get("label=staging").status == 401


@pytest.mark.parametrize("query", ["", "version=2.3", f"unit={'u' * 600}"], ids=["drawn", "pinned", "long"])
def test_same_request__not_the_same_each_time_or_large__not_remembered(query: str) -> None:
    assert get(query).status == 200

    assert not remembered()


def test_same_requests__very_many__so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "MOST_REMEMBERED", 3)

    for unit in range(10):
        get(f"unit=user-{unit}")
        assert len(remembered()) <= 3


def test_answers__large_ones__not_kept() -> None:
    large = Chosen(pinned_answer(encode_version(version(4, 5, template="x" * 20_000))))
    kept = answers._kept.cache_info().currsize

    assert json.loads(large.ready().response.body)["template"] == "x" * 20_000

    assert answers._kept.cache_info().currsize == kept


# Refusals


@pytest.mark.parametrize(
    ("query", "request_values", "status", "code", "named"),
    [
        ("", {"authorization": ""}, 401, "missing_key", "Bearer"),
        ("", {"authorization": "Basic cmVhZGVy"}, 401, "missing_key", "Bearer"),
        ("", {"authorization": "Bearer wrong"}, 401, "unknown_key", "key"),
        ("", {"authorization": "Bearer ingester"}, 403, "wrong_scope", "read"),
        ("", {"name": "order-extractr"}, 404, "unknown_prompt", "order-extractr"),
        ("", {"name": "old"}, 410, "prompt_archived", "old"),
        ("label=prod", {}, 404, "unknown_label", "prod"),
        ("label=", {}, 404, "unknown_label", "''"),
        ("version=2.9", {}, 404, "unknown_version", "2.9"),
        ("version=99", {}, 404, "unknown_version", "99"),
        ("version=newest", {}, 422, "invalid", "newest"),
        ("lable=staging", {}, 400, "unknown_parameter", "lable"),
        ("label=staging&label=production", {}, 400, "repeated_parameter", "label"),
        ("unit=%FF", {}, 400, "malformed_query", "UTF-8"),
        ("", {"method": "POST"}, 405, "method_not_allowed", "POST"),
    ],
)
def test_refusal__problem_document_that_names_it(
    query: str, request_values: dict[str, str], status: int, code: str, named: str
) -> None:
    response = get(query, request_id="req_1", **request_values)

    assert response.status == status
    assert header(response, "Content-Type") == "application/problem+json"
    assert header(response, "Cache-Control") == "private, no-cache"
    problem = body(response)
    assert (problem["status"], problem["code"], problem["request_id"]) == (status, code, "req_1")
    assert named in problem["detail"]
    assert (header(response, "WWW-Authenticate") is not None) == (status == 401)
    assert header(response, "Allow") == ("GET, HEAD" if status == 405 else None)


def test_no_state_yet__unavailable(monkeypatch: pytest.MonkeyPatch, state_file: StateFile) -> None:
    monkeypatch.setattr(snapshot_cache, "cache", snapshot_cache.SnapshotCache(state_file))

    response = get()

    assert (response.status, body(response)["code"]) == (503, "no_state_yet")
    assert header(response, "Retry-After") is not None


def test_pinned__not_in_memory_and_database_away__unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Unavailable("database_away", "away")

    monkeypatch.setattr(snapshot_cache.cache, "pinned", away)

    assert get("version=2.2").status == 503


# Conditional requests and HEAD


@pytest.mark.parametrize("query", ["label=staging", f"unit={CANARY_AT_5_PERCENT}", "version=2.2"])
@pytest.mark.parametrize("given", ["{}", "W/{}", '"other", {}', '"other" ,W/{}, "third"', "*"])
def test_if_none_match__same_answer__304_without_body(query: str, given: str) -> None:
    etag = header(get(query), "ETag")
    assert etag is not None

    again = get(query, if_none_match=given.format(etag))

    assert (again.status, again.body) == (304, b"")
    assert header(again, "ETag") == etag
    assert header(again, "Vary") == "Authorization, Serinus-Unit"
    assert header(again, "Content-Type") is None
    assert header(again, "Content-Length") is None


@pytest.mark.parametrize("given", ['"other"', "other", "{}x", '"{}"'])
def test_if_none_match__another_tag__200(given: str) -> None:
    etag = header(get("label=staging"), "ETag")

    assert get("label=staging", if_none_match=given.format(etag)).status == 200


def test_etag__other_body__other_tag() -> None:
    queries = ["label=staging", "version=2.2", "version=2.3", "version=2.4"]
    queries += [f"unit={unit}" for unit in (CANARY_AT_5_PERCENT, CONTROL_AT_5_PERCENT, "user-1", "user-2")]
    answers = [get(query) for query in queries] + [get() for _ in range(200)]

    by_tag = {header(answer, "ETag"): answer.body for answer in answers}

    assert all(by_tag[header(answer, "ETag")] == answer.body for answer in answers)
    assert len(by_tag) == len({answer.body for answer in answers})


@pytest.mark.parametrize("query", ["label=staging", "label=nothing"])
def test_head__status_and_headers_of_get_without_body(query: str) -> None:
    head, full = get(query, method="HEAD", request_id="req_1"), get(query, request_id="req_1")

    assert (head.status, head.headers, head.body) == (full.status, full.headers, b"")


# Staleness


def test_stale__every_answer_says_so_with_its_age(monkeypatch: pytest.MonkeyPatch, state_file: StateFile) -> None:
    clock = Clock()
    monkeypatch.setattr(snapshot_cache, "cache", snapshot_cache.SnapshotCache(state_file, clock))
    snapshot_cache.cache.refresh()

    clock.seconds += 61.5

    for response in (get("label=staging"), get("label=nothing"), get("version=2.2", if_none_match="*")):
        assert (header(response, "Serinus-Stale"), header(response, "Age")) == ("true", "61")


def test_fresh__no_stale_header() -> None:
    response = get("label=staging")

    assert (header(response, "Serinus-Stale"), header(response, "Age")) == (None, None)


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


# Encoding


def test_encoding__lone_surrogate__still_valid_json() -> None:
    odd = encode_version(version(4, 5, template="\ud800"))

    encoded = Chosen(pinned_answer(odd)).ready().response.body

    assert json.loads(encoded)["template"] == "\ud800"

"""`GET /prompts/{name}` through Django, as a client sees it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.live_server_helper import LiveServer

from rollout import services
from rollout.core.assignment import bucket, unit_bucket
from rollout.serving import snapshot_cache
from tests import make
from tests.served import CANARY_AT_5_PERCENT, SALT, make_prompt, make_rollout

ADDRESS = "/prompts/order-extractor"
FIELDS = {
    "name",
    "version",
    "ordinal",
    "ref",
    "label",
    "type",
    "template",
    "variables",
    "config",
    "input_schema",
    "response_schema",
    "sha256",
    "reason",
    "sticky",
    "rollout",
    "trace",
}


@pytest.fixture
def app(db: None) -> Client:
    """A client with a key, of a service where a rollout of production runs at 5 %."""
    make_rollout(make_prompt())
    client = Client(headers={"Authorization": f"Bearer {make.key('read')}"})
    snapshot_cache.cache.refresh()
    return client


def test_get__every_field_and_header(app: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        response = app.get(ADDRESS, {"unit": CANARY_AT_5_PERCENT})

    assert response.status_code == 200
    assert set(response.json()) == FIELDS
    assert response.json()["version"] == "v2.3"
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "private, no-cache"
    assert response["Vary"] == "Authorization, Serinus-Unit"
    assert response["X-Request-Id"]
    assert "Serinus-Stale" not in response.headers


def test_get__1000_units__split_as_the_rule_says(app: Client) -> None:
    for number in range(1000):
        unit = f"user-{number}"

        found = app.get(ADDRESS, headers={"Serinus-Unit": unit}).json()

        arm = "canary" if bucket(SALT, unit) < 500 else "control"
        assert (found["reason"], found["version"]) == (arm, {"canary": "v2.3", "control": "v2.2"}[arm])
        assert found["trace"]["serinus.exposure"] == f"{found['rollout']['id']}:0:{arm}:{unit_bucket(SALT, unit)}"


def test_get__rollout_started_paused_and_rolled_back__served_by_the_next_refresh(db: None) -> None:
    prompt = make_prompt()
    app = Client(headers={"Authorization": f"Bearer {make.key()}"})
    plan = {"steps": [{"weight": "50%", "hold": "1h"}]}

    def served() -> set[tuple[str, str]]:
        snapshot_cache.cache.refresh()
        answers = [app.get(ADDRESS, {"unit": f"user-{number}"}).json() for number in range(200)]
        return {(answer["version"], answer["reason"]) for answer in answers}

    before = served()
    rollout = services.create_rollout(prompt_name=prompt.name, canary="2.3", plan=plan, actor=make.ANNA)
    running = served()
    services.pause(rollout_id=rollout.pk, reason="a look", actor=make.ANNA)
    paused = served()
    services.rollback(rollout_id=rollout.pk, reason="it is worse", actor=make.ANNA)

    # All 200 units in one arm at 50 %: once in 2^199 salts.
    assert before == served() == {("v2.2", "label")}
    assert running == paused == {("v2.2", "control"), ("v2.3", "canary")}


def test_get__if_none_match__304(app: Client) -> None:
    etag = app.get(ADDRESS, {"unit": "user-1"})["ETag"]

    response = app.get(ADDRESS, {"unit": "user-1"}, headers={"If-None-Match": etag})

    assert (response.status_code, response.content, response["ETag"]) == (304, b"", etag)
    assert "Content-Type" not in response.headers


def test_head__no_body(app: Client) -> None:
    response = app.head(ADDRESS, {"unit": "user-1"})

    assert (response.status_code, response.content) == (200, b"")
    assert int(response["Content-Length"]) > 0


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_other_methods__405_even_with_csrf_checks(method: str) -> None:
    client = Client(enforce_csrf_checks=True)

    response = getattr(client, method)(ADDRESS)

    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")
    assert response.json()["code"] == "method_not_allowed"


def test_get__without_key__401_with_the_request_id(app: Client) -> None:
    response = Client().get(ADDRESS, headers={"X-Request-Id": "abc-1"})

    assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer realm="serinus"')
    assert response["Content-Type"] == "application/problem+json"
    assert (response.json()["code"], response.json()["request_id"]) == ("missing_key", "abc-1")


def test_get__wrong_scope__403(app: Client) -> None:
    collector = Client(headers={"Authorization": f"Bearer {make.key('ingest')}"})
    snapshot_cache.cache.refresh()

    assert collector.get(ADDRESS).status_code == 403


@pytest.mark.parametrize("scope", ["read", "write", "admin"])
def test_get__scope_that_includes_read__200(app: Client, scope: str) -> None:
    client = Client(headers={"Authorization": f"Bearer {make.key(scope)}"})
    snapshot_cache.cache.refresh()

    assert client.get(ADDRESS).status_code == 200


def test_get__cold_process__503_and_when_to_retry(db: None) -> None:
    response = Client().get(ADDRESS)

    assert (response.status_code, response.json()["code"]) == (503, "no_state_yet")
    assert response["Retry-After"]


@pytest.mark.django_db(transaction=True)
def test_wire__head_304_and_units_in_any_script(live_server: LiveServer) -> None:
    make_rollout(make_prompt(), weight_bp=5000)
    key = make.key("read")
    snapshot_cache.cache.refresh()
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {key}"
    url = f"{live_server.url}{ADDRESS}"

    by_query = session.get(url, params={"unit": "Jürgen 😀"}, timeout=10)
    by_header = session.get(url, headers={"Serinus-Unit": "Jürgen 😀".encode()}, timeout=10)
    head = session.head(url, params={"unit": "Jürgen 😀"}, timeout=10)
    again = session.get(
        url, params={"unit": "Jürgen 😀"}, headers={"If-None-Match": by_query.headers["ETag"]}, timeout=10
    )

    assert by_query.json()["trace"]["serinus.exposure"].endswith(f":{unit_bucket(SALT, 'Jürgen 😀')}")
    assert by_header.content == by_query.content
    assert head.headers["Content-Length"] == str(len(by_query.content))
    assert (head.content, again.status_code, again.content) == (b"", 304, b"")


# Which processes have the thread


def in_a_new_process(script: str, folder: Path) -> Any:
    """What the script prints as JSON, run on SQLite in this folder."""
    root = Path(__file__).resolve().parents[2]
    environment = {"PATH": os.environ["PATH"], "SERINUS_DATA_DIR": str(folder)}
    environment["DJANGO_SETTINGS_MODULE"] = "config.settings"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


THREADS = "[thread.name for thread in threading.enumerate() if thread.name == 'serving-refresher']"


def test_thread__only_views_imported__none(tmp_path: Path) -> None:
    script = f"""
import django, json, threading
django.setup()
import config.urls
print(json.dumps({THREADS}))"""

    assert in_a_new_process(script, tmp_path) == []


def test_thread__web_process_and_its_fork__each_sees_a_change(tmp_path: Path) -> None:
    script = f"""
import django, json, os, threading, time
django.setup()
from django.core.management import call_command
from django.db import connections
call_command("migrate", verbosity=0)
connections.close_all()
import config.wsgi
from rollout.serving.snapshot_cache import cache
from tests.served import make_prompt

assert cache.loaded.is_set()
reading, writing = os.pipe()
child = os.fork()
if not child:
    make_prompt()
deadline = time.monotonic() + 10
while "order-extractor" not in cache.current()[0].prompts and time.monotonic() < deadline:
    threading.Event().wait(0.01)
found = [len({THREADS}), list(cache.current()[0].prompts)]
if not child:
    os.write(writing, json.dumps(found).encode())
    os._exit(0)
os.waitpid(child, 0)
print(json.dumps([found, json.loads(os.read(reading, 1000))]))"""

    assert in_a_new_process(script, tmp_path) == [[1, ["order-extractor"]]] * 2

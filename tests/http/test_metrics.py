"""/metrics: what serving has counted, exactly over threads and processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from config import metrics
from rollout.serving import counts, snapshot_cache
from rollout.serving.endpoint import get_prompt
from rollout.serving.ruleset_endpoint import get_ruleset
from tests import make
from tests.ofrep import BULK
from tests.served import CANARY_AT_5_PERCENT, CONTROL_AT_5_PERCENT, make_prompt, make_rollout

pytestmark = pytest.mark.django_db

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(client: Client) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.content.decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def grown(before: Samples, after: Samples) -> dict[tuple[str, ...], float]:
    """By name and values of labels: how much more it is, for all counters that grew."""
    return {
        (name, *(value for _, value in sorted(labels))): value - before.get((name, labels), 0)
        for (name, labels), value in after.items()
        if value != before.get((name, labels), 0) and name.endswith("_total")
    }


@pytest.fixture(autouse=True)
def _counted_from_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a folder of this test's own, where no other worker of pytest counts; also for processes that it starts."""
    (tmp_path / "metrics").mkdir()
    monkeypatch.setenv("SERINUS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "metrics"))
    monkeypatch.setattr(counts, "_names", [])
    monkeypatch.setattr(counts, "_file", None)
    monkeypatch.setattr(counts, "_numbers", None, raising=False)
    forget_cells()
    yield
    forget_cells()  # they are places in this test's file


def forget_cells() -> None:
    for counter in counts.COUNTERS:
        counter.cells.clear()
    counts.requests.cache_clear()


@pytest.fixture
def rollout() -> str:
    return str(make_rollout(make_prompt()).pk)


@pytest.fixture
def authorization(rollout: str) -> str:
    authorization = f"Bearer {make.key('read')}"
    snapshot_cache.cache.refresh()
    return authorization


def test_metrics__each_answer__counted_by_status_and_reason_and_by_arm(
    client: Client, rollout: str, authorization: str
) -> None:
    def get(query: str, **request: str) -> None:
        get_prompt(
            **{"method": "GET", "name": "order-extractor", "authorization": authorization} | request, query=query
        )

    before = samples(client)
    for _ in range(3):
        get(f"unit={CANARY_AT_5_PERCENT}")
    get(f"unit={CONTROL_AT_5_PERCENT}", if_none_match="*")
    get("label=latest")
    get("version=2.2")
    get("label=nothing")
    get("", authorization="")
    get_ruleset(method="GET", authorization=authorization)
    get_ruleset(method="GET", authorization=authorization, query="since=0")
    get_ruleset(method="GET", authorization=authorization, if_none_match="*")
    get_ruleset(method="GET")

    assert grown(before, samples(client)) == {
        ("serinus_prompt_requests_total", "canary", "200"): 3,
        ("serinus_prompt_requests_total", "control", "304"): 1,
        ("serinus_prompt_requests_total", "label", "200"): 1,
        ("serinus_prompt_requests_total", "pinned", "200"): 1,
        ("serinus_prompt_requests_total", "unknown_label", "404"): 1,
        ("serinus_prompt_requests_total", "missing_key", "401"): 1,
        ("serinus_assignments_total", "canary", rollout): 3,
        ("serinus_assignments_total", "control", rollout): 1,
        ("serinus_ruleset_requests_total", "complete", "200"): 1,
        ("serinus_ruleset_requests_total", "changes", "200"): 1,
        ("serinus_ruleset_requests_total", "unchanged", "304"): 1,
        ("serinus_ruleset_requests_total", "missing_key", "401"): 1,
    }


def test_metrics__openfeature__each_request_counted_once_and_each_assignment(
    client: Client, rollout: str, authorization: str
) -> None:
    def post(path: str, context: Any, **headers: str) -> HttpResponse:
        sent = {"Authorization": authorization} | headers
        return client.post(f"{BULK}{path}", {"context": context}, content_type="application/json", headers=sent)

    before = samples(client)
    post("/order-extractor", {"targetingKey": CANARY_AT_5_PERCENT})
    post("/order-extractor", {"label": "latest"})
    post("/nothing", {})
    post("/order-extractor", {"version": "9.9"})
    post("/order-extractor", "no object")
    etag = post("", {"targetingKey": CONTROL_AT_5_PERCENT})["ETag"]
    post("", {"targetingKey": CONTROL_AT_5_PERCENT}, **{"If-None-Match": etag})
    post("", {}, Authorization="")

    assert grown(before, samples(client)) == {
        ("serinus_prompt_requests_total", "canary", "200"): 1,
        ("serinus_prompt_requests_total", "label", "200"): 1,
        ("serinus_prompt_requests_total", "unknown_prompt", "404"): 1,
        ("serinus_prompt_requests_total", "unknown_version", "400"): 1,
        ("serinus_prompt_requests_total", "invalid", "400"): 1,
        ("serinus_prompt_requests_total", "all_flags", "200"): 1,
        ("serinus_prompt_requests_total", "all_flags", "304"): 1,
        ("serinus_prompt_requests_total", "missing_key", "401"): 1,
        ("serinus_assignments_total", "canary", rollout): 1,
        ("serinus_assignments_total", "control", rollout): 2,
    }


def test_metrics__eight_threads__not_one_lost(client: Client, rollout: str, authorization: str) -> None:
    def ask(number: int) -> None:
        for unit in range(500):
            get_prompt(method="GET", name="order-extractor", query=f"unit={number}-{unit}", authorization=authorization)

    before = samples(client)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(8)))

    more = grown(before, samples(client))
    assert sum(n for (name, *_), n in more.items() if name == "serinus_prompt_requests_total") == 4000
    assert sum(n for (name, *_), n in more.items() if name == "serinus_assignments_total") == 4000


KINDS_OF_FILE = (("gauge_livemax_", ".db"), ("", "_0.counts"))
COUNTING = """
import django, os, sys
django.setup()
from rollout.serving.counts import STATE_AGE, requests
cell = requests(200, "label")
for _ in range(7):
    cell.inc()
STATE_AGE.set(1000)
print(os.getpid())"""


def test_metrics__process_that_died__what_it_counted_stays_and_its_state_goes(client: Client) -> None:
    before = samples(client)

    subprocess.run([sys.executable, "-c", COUNTING], check=True, capture_output=True)

    after = samples(client)
    assert grown(before, after)["serinus_prompt_requests_total", "label", "200"] == 7
    assert after.get(("serinus_serving_state_age_seconds", frozenset()), 0) < 1000


def test_begin_anew__only_the_dead_are_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    counting = subprocess.run([sys.executable, "-c", COUNTING], check=True, capture_output=True, text=True)
    names = [f"{kind}{process}{end}" for process in (int(counting.stdout), os.getpid()) for kind, end in KINDS_OF_FILE]
    names.append("of-somebody-else.db")
    for name in names:
        (folder / name).touch()

    metrics.begin_anew()

    assert {file.name for file in folder.iterdir()} == set(names[2:])


def test_counts__full_file__the_rest_is_not_counted_and_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(counts, "MOST_SERIES", 3)
    counter = counts.Counter("serinus_tests", "Of this test.", ("n",))

    for number in range(4):
        counter.of(str(number)).inc()

    assert counts.totals(tmp_path / "metrics") == {("serinus_tests", "0"): 1, ("serinus_tests", "1"): 1}
    assert [r.getMessage() for r in caplog.records] == ["serving.too_many_series"] * 2


def test_counts__folder_that_cannot_be_written__serving_goes_on_and_it_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "nowhere"))

    counts.requests(200, "label").inc()

    assert [r.getMessage() for r in caplog.records] == ["serving.not_counted"]


FORKING = """
import django, os
django.setup()
from rollout.serving.counts import ASSIGNMENTS
if not os.fork():
    os._exit(0)  # has nothing to count yet
os.wait()
cell = ASSIGNMENTS.of("rol_forked", "canary")
cell.inc()
child = os.fork()
for _ in range(3 if child else 5):
    cell.inc()
if not child:
    os._exit(0)
os.wait()
print(os.getpid(), child)"""


def test_counts__process_forks__each_counts_for_itself_in_its_own_file(client: Client, tmp_path: Path) -> None:
    counting = subprocess.run([sys.executable, "-c", FORKING], check=True, capture_output=True, text=True)

    rollout = frozenset({("rollout", "rol_forked"), ("arm", "canary")})
    assert samples(client)["serinus_assignments_total", rollout] == 1 + 3 + 5
    files = {process: tmp_path / "metrics" / f"{process}_0.counts" for process in counting.stdout.split()}
    totals = [sum(number for _, number in counts._records(file.read_bytes())) for file in files.values()]
    assert totals == [1 + 3, 5]
    others = set((tmp_path / "metrics").glob("*.counts")) - set(files.values())
    assert {file.name.partition("_")[0] for file in others} <= {str(os.getpid())}


FORKING_WHILE_COUNTING = """
import django, os, signal
django.setup()
from rollout.serving import counts
cell = counts.ASSIGNMENTS.of("rol_forked", "canary")
with counts._lock:  # as another thread that counts at that moment
    if not os.fork():
        signal.alarm(20)
        cell.inc()
        os._exit(0)
print(os.wait()[1])"""


def test_counts__process_forks_while_another_thread_counts__does_not_wait_for_it() -> None:
    counting = subprocess.run([sys.executable, "-c", FORKING_WHILE_COUNTING], capture_output=True, text=True)

    assert counting.stdout == "0\n"

"""`/api/v1/objectives`: what is promised, how well it is kept, and who may change it; the same in the admin."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from observability import rollups
from observability.core.scores import NewScore
from observability.models import Objective, SeriesState
from observability.services.scores import record_scores
from observability.watching import series
from registry import audit
from registry.models import Prompt
from tests import make, traces
from tests.observed import ingest

NOW = datetime(2026, 1, 31, 14, 32, tzinfo=UTC)
PATH = "/api/v1/objectives"
NEW = {"prompt": "order-extractor", "name": "errors", "metric": "error_rate", "comparison": "below", "threshold": 0.1}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        SeriesState.objects.create(pk=1, settled_until=NOW.replace(minute=0) - timedelta(hours=7))
        make.prompt()
        yield traveller


def send(method: str, path: str = "", *, key: str = "", headers: Any = None, **body: Any) -> Any:
    sent = {"Authorization": f"Bearer {key or make.key('write')}"} | (headers or {})
    if method == "get":
        return Client().get(PATH + path, body, headers=sent)
    return getattr(Client(), method)(PATH + path, body, content_type="application/json", headers=sent)


def post(**changes: Any) -> Any:
    return send("post", **{name: value for name, value in (NEW | changes).items() if value is not None})


def calls(n: int, *, age_h: float, failed: int = 0, first: int = 0, label: str = "production") -> None:
    told = {"gen_ai.prompt.name": "order-extractor", "serinus.label": label}
    ingest(
        *(
            traces.span(
                traces.CHAT | told | ({"error.type": "timeout"} if number < failed else {}),
                number=first + number,
                trace=first + number,
                age_s=3600 * age_h,
            )
            for number in range(n)
        )
    )


def test_objectives__made__listed_and_read_with_every_field() -> None:
    made = post()

    assert (made.status_code, made["ETag"]) == (201, '"1"')
    assert send("get", prompt="order-extractor", label="production").json()["items"] == [made.json()]
    assert send("get", f"/{made.json()['id']}").json() == made.json()
    answer = made.json()
    status = answer.pop("status")
    assert answer == {
        "id": Objective.objects.get().pk,
        **NEW,
        "label": "production",
        "target_bp": None,
        "days": 28,
        "active": True,
        "revision": 1,
        "created_at": "2026-01-31T14:32:00Z",
        "created_by": "key:app",
    }
    assert [rate["window_s"] for rate in status.pop("burn_rates")] == [300, 1800, 3600, 7200, 21600, 86400, 259200]
    assert status == {
        "n": 0,
        "attained": None,
        "allowed": 0.1,
        "budget_spent": None,
        "budget_left": None,
        "burning": None,
        "exhausted_at": None,
    }


def test_objectives__of_times_and_costs__have_a_target_and_their_days() -> None:
    ttft = post(name="ttft", metric="ttft", threshold=1000).json()
    speed = post(name="speed", metric="tokens_per_second", comparison="above", threshold=15, target="90%").json()
    cost = post(name="cost", metric="cost_per_call", threshold=0.02).json()

    assert (ttft["target_bp"], ttft["days"], ttft["status"]["allowed"]) == (9500, 28, 0.05)
    assert (speed["target_bp"], speed["status"]["allowed"]) == (9000, 0.1)
    assert cost["days"] == 7


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"threshold": 0}, "threshold"),
        ({"threshold": 1}, "threshold"),
        ({"threshold": "soon"}, "threshold"),
        ({"metric": "ttft", "threshold": -1}, "threshold"),
        ({"metric": "ttft", "threshold": 1000, "target": "100%"}, "target"),
        ({"metric": "ttft", "threshold": 1000, "target": "often"}, "target"),
        ({"target": "95%"}, "target"),
        ({"comparison": "above"}, "comparison"),
        ({"comparison": "near"}, "comparison"),
        ({"metric": "tokens_per_second", "threshold": 15}, "comparison"),
        ({"metric": "tokens"}, "metric"),
        ({"metric": "no such thing"}, "metric"),
        ({"name": "Errors!"}, "name"),
        ({"name": None}, "name"),
        ({"label": "latest"}, "label"),
        ({"days": 6}, "days"),
        ({"metric": "cost_per_call", "days": 28}, "days"),
        ({"revision": 1}, "revision"),
    ],
)
def test_objectives__wrong_field__refused_by_its_name(changes: dict[str, Any], field: str) -> None:
    refused = post(**changes)

    assert refused.status_code == 422
    assert field in [error["field"] for error in refused.json()["errors"]]
    assert not Objective.objects.exists()


def test_objectives__name_is_taken__409() -> None:
    post()

    refused = post(metric="faithfulness", comparison="above", threshold=0.9)

    assert (refused.status_code, refused.json()["code"]) == (409, "objective_exists")
    assert post(label="staging").status_code == 201


def test_objectives__unknown_prompt_or_objective__404() -> None:
    assert post(prompt="nobody").json()["code"] == "unknown_prompt"
    assert send("get", "/1000").json()["code"] == "unknown_objective"
    assert send("patch", "/1000", threshold=0.2).json()["code"] == "unknown_objective"
    assert send("delete", "/1000").json()["code"] == "unknown_objective"


def test_objectives__changed__by_the_revision_that_was_read() -> None:
    path = f"/{post().json()['id']}"

    changed = send("patch", path, threshold=0.2, active=False, headers={"If-Match": '"1"'})
    stale = send("patch", path, threshold=0.3, revision=1)

    assert (changed.status_code, changed["ETag"], changed.json()["revision"]) == (200, '"2"', 2)
    assert (changed.json()["threshold"], changed.json()["active"]) == (0.2, False)
    assert (stale.status_code, stale.json()["code"], stale.json()["revision"]) == (409, "stale_objective", 2)
    assert send("patch", path, threshold=0.2).json()["revision"] == 2  # nothing new
    assert send("patch", path, metric="tone").status_code == 422
    assert send("patch", path, threshold=7).status_code == 422


def test_objectives__deleted__gone() -> None:
    path = f"/{post().json()['id']}"

    assert send("delete", path, headers={"If-Match": '"7"'}).status_code == 409
    assert send("delete", path, headers={"If-Match": '"1"'}).status_code == 204
    assert not Objective.objects.exists()


def test_objectives__each_change__in_the_audit_trail() -> None:
    path = f"/{post().json()['id']}"
    send("patch", path, threshold=0.2)
    send("delete", path)

    entries = list(audit.entries(target="prompts/order-extractor/objectives/production/errors"))

    assert [entry.action for entry in entries] == ["objective.deleted", "objective.changed", "objective.created"]
    assert entries[1].before == entries[2].after
    assert (entries[1].before or {})["threshold"] == 0.1
    assert (entries[1].after or {})["threshold"] == 0.2


def test_objectives__made_again_with_its_idempotency_key__once() -> None:
    key = make.key("write")

    first, second = (send("post", key=key, headers={"Idempotency-Key": "once"}, **NEW) for _ in range(2))

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()


def test_objectives__restricted_key__sees_and_makes_only_what_it_reaches() -> None:
    made = post().json()
    staging = make.restricted_key("write", labels=["staging"])
    others = make.restricted_key("write", prompt_prefix="other-")

    assert send("get", key=staging).json()["items"] == []
    assert send("get", f"/{made['id']}", key=others).status_code == 404
    assert send("post", key=staging, **NEW).json()["code"] == "beyond_reach"
    assert send("post", key=staging, **NEW, label="staging").status_code == 201
    assert send("post", key=others, **NEW).json()["code"] == "unknown_prompt"


def test_status__calls_of_days_hours_and_minutes__each_counted_once() -> None:
    post()
    calls(100, age_h=24 * 20, failed=4)
    calls(100, age_h=30, failed=2, first=100)
    calls(50, age_h=3, failed=1, first=200)
    calls(50, age_h=0.05, failed=5, first=300)  # in the bucket of 14:25
    calls(50, age_h=0.05, failed=50, first=400, label="staging")
    calls(50, age_h=24 * 28, failed=50, first=500)  # before its days
    rollups.roll_up()
    series.write()

    status = send("get").json()["items"][0]["status"]

    # 12 of 300 failed, of the 30 that 10 % allow.
    assert (status["n"], status["attained"]) == (300, pytest.approx(0.96))
    assert (status["budget_spent"], status["budget_left"]) == (pytest.approx(0.4), pytest.approx(0.6))
    rates = {rate["window_s"]: (rate["n"], rate["burn_rate"]) for rate in status["burn_rates"]}
    assert rates[300] == (50, pytest.approx(1.0))  # 5 of 50
    assert rates[3600] == rates[300]
    assert rates[6 * 3600] == (100, pytest.approx(0.6))  # 6 of 100
    assert rates[24 * 3600] == (100, pytest.approx(0.6))
    assert rates[72 * 3600] == (200, pytest.approx(0.4))  # 8 of 200
    assert (status["burning"], status["exhausted_at"]) == (None, None)


def test_status__before_any_roll_up__the_same_of_the_days() -> None:
    post()
    calls(100, age_h=30, failed=4)

    assert send("get").json()["items"][0]["status"]["budget_left"] == pytest.approx(0.6)


def test_status__burns__how_urgent_and_when_it_is_gone() -> None:
    post(threshold=0.05)
    calls(300, age_h=24 * 27.5, failed=0)
    calls(20, age_h=0.05, failed=16, first=300)
    rollups.roll_up()
    series.write()

    status = send("get").json()["items"][0]["status"]

    # 16 of 20 burn 5 % 16 times too fast. 16 bad of 320 are all that 5 % allow.
    assert status["burning"] == "critical"
    assert status["budget_left"] == pytest.approx(0, abs=1e-9)
    assert status["exhausted_at"][:16] == "2026-01-31T14:32"


def test_status__scores__of_all_sources_by_their_mean() -> None:
    post(name="faithfulness", metric="faithfulness", comparison="above", threshold=0.9)
    calls(4, age_h=2)
    values = [(0.9, "judge"), (0.8, "judge"), (1.0, "user"), (0.98, "check")]
    record_scores(
        scores=[
            NewScore(name="faithfulness", value=value, source=source, span_id=traces.span_id(number).hex())
            for number, (value, source) in enumerate(values)
        ]
    )

    status = send("get").json()["items"][0]["status"]

    assert (status["n"], status["attained"]) == (4, pytest.approx(0.92))
    assert status["budget_spent"] == pytest.approx(0.8)  # 0.08 of the 0.10 that it may lack


def test_status__costs_of_calls__by_the_series() -> None:
    post(name="cost", metric="cost_per_call", threshold=0.02, target="50%")
    told = {"gen_ai.prompt.name": "order-extractor", "serinus.label": "production"}
    for number, usd in enumerate([0.01, 0.03, 0.01, 0.01]):
        ingest(traces.span(traces.CHAT | told | {"gen_ai.usage.cost": usd}, number=number, trace=number, age_s=60))
    series.write()

    status = send("get").json()["items"][0]["status"]

    assert (status["n"], status["attained"], status["budget_left"]) == (4, 0.75, pytest.approx(0.5))


def test_list__more_objectives_and_prompts__no_more_statements() -> None:
    def statements() -> int:
        key = make.key("read")
        with CaptureQueriesContext(connection) as seen:
            assert send("get", key=key).status_code == 200
        return len(seen)

    post()
    before = statements()
    for number in range(5):
        make.prompt(f"other-{number}")
        post(prompt=f"other-{number}", label="staging")
        post(prompt=f"other-{number}", name="tone", metric="tone", comparison="above", threshold=0.9)

    assert statements() == before


def someone_who_may(*codenames: str) -> Client:
    user = User.objects.create_user("ben", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def form(**changes: Any) -> dict[str, Any]:
    prompt_id = Prompt.objects.get(name="order-extractor").pk
    return {
        "prompt": prompt_id,
        "label": "production",
        **{k: v for k, v in NEW.items() if k != "prompt"},
        "active": "on",
    } | changes


def test_admin__adds_changes_and_deletes__as_the_service_does() -> None:
    client = someone_who_may("view_objective", "change_objective", "view_prompt")
    add = "/admin/observability/objective/add/"

    assert client.post(add, form(metric="ttft", name="ttft", threshold="1000")).status_code == 302
    made = Objective.objects.get()
    assert (made.target_bp, made.days, made.created_by) == (9500, 28, "user:ben")

    change = f"/admin/observability/objective/{made.pk}/change/"
    assert b"95" in client.get(change).content
    fields = {"threshold": "800", "target": "99", "days": "14", "read_revision": "1", "active": "on"}
    assert client.post(change, fields).status_code == 302
    made.refresh_from_db()
    assert (made.threshold, made.target_bp, made.days, made.revision) == (800, 9900, 14, 2)
    assert b"meanwhile" in client.post(change, fields).content

    assert client.post(f"/admin/observability/objective/{made.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Objective.objects.exists()
    assert audit.entries(action="objective.deleted").get().actor == "user:ben"


def test_admin__wrong__says_so_at_the_field() -> None:
    client = someone_who_may("view_objective", "change_objective", "view_prompt")

    page = client.post("/admin/observability/objective/add/", form(threshold="1", target="95"))

    assert page.status_code == 200
    assert "there is no budget to spend" in page.content.decode()
    assert "the mean is promised" in page.content.decode()

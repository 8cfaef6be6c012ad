"""The audit trail: what an entry holds, and reading it over REST, as a file and in the admin."""

import csv
import html
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django_q.models import Schedule

from common.clock import now
from registry import audit, services
from registry.models import ApiKey, AuditEntry
from tests import make
from tests import rollouts as given

pytestmark = pytest.mark.django_db

Get = Callable[..., Any]
PASSWORD = "correct horse battery"
SECRET_TEXT = "Extract the order, way 0"


def bearer(*scopes: str) -> dict[str, str]:
    _, key = services.issue_key(name="auditor", scopes=scopes, actor=make.ANNA)
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def get(client: Client) -> Get:
    headers = bearer("admin")
    return lambda **query: client.get("/api/v1/audit", query, headers=headers)


@pytest.fixture
def admin(client: Client) -> Client:
    """As a person who may do everything."""
    client.force_login(User.objects.create_superuser("root", password=PASSWORD))
    return client


def entry(action: str) -> AuditEntry:
    return AuditEntry.objects.get(action=action)


def found(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.content
    return [(item["action"], item["target"]) for item in answer.json()["items"]]


def test_change_over_rest__entry__who_what_before_after_why_and_from_where(client: Client) -> None:
    given.prompt()
    headers = bearer("write") | {"X-Request-Id": "req-7"}

    client.put(
        "/api/v1/prompts/order-extractor/labels/production",
        {"version": "1.1", "reason": "better"},
        content_type="application/json",
        headers=headers,
        REMOTE_ADDR="198.51.100.7",
    )

    moved = AuditEntry.objects.filter(action="label.moved").latest("pk")
    assert audit.entry_json(moved) == {
        "id": moved.pk,
        "at": moved.at,
        "actor": "key:auditor",
        "action": "label.moved",
        "target": "prompts/order-extractor/labels/production",
        "before": {"version": "v1.0"},
        "after": {"version": "v1.1"},
        "reason": "better",
        "address": "198.51.100.7",
        "request_id": "req-7",
    }


def test_rolled_back_by_the_evaluator__entry__no_address_and_the_cause() -> None:
    rollout = given.rollout()
    given.observe_many(rollout, "hallucination", control=(19_000, 342), canary=(1_000, 80))

    given.look_now(rollout)

    ended = entry("rollout.rolled_back")
    assert (ended.actor, ended.reason, ended.address) == ("system:evaluator", "guardrail:hallucination", "")
    assert (ended.before["weight_bp"], ended.after["weight_bp"]) == (500, 0)
    assert (ended.before["status"], ended.after["status"]) == ("running", "rolled_back")
    assert ended.target == f"prompts/order-extractor/rollouts/{rollout.pk}"


def test_entries__of_everything__hold_no_text_and_no_secret() -> None:
    from rollout.webhooks.services import create_endpoint

    given.rollout()
    prompt = make.prompt("greeter")
    services.save_draft(
        prompt=prompt, content=make.content(SECRET_TEXT), notes="", expected_revision=None, actor=make.ANNA
    )
    key, text = services.issue_key(name="app", scopes=["read"], actor=make.ANNA)
    endpoint = create_endpoint(url="https://hooks.example.org", actor=make.ANNA)

    written = json.dumps([audit.entry_json(entry) for entry in AuditEntry.objects.all()], default=str)

    assert AuditEntry.objects.count() >= 8
    for secret in (SECRET_TEXT, text, key.sha256, endpoint.secret):
        assert secret not in written
    assert entry("draft.saved").after == {"revision": 1, "sha256": make.content(SECRET_TEXT).sha256}


def test_get__filters__and_combine(get: Get) -> None:
    given.prompt()
    make.prompt("order-extractor-2")
    middle = AuditEntry.objects.get(action="prompt.created", target="prompts/order-extractor").at

    assert found(get(action="prompt.created")) == [
        ("prompt.created", "prompts/order-extractor-2"),
        ("prompt.created", "prompts/order-extractor"),
    ]
    assert ("label.moved", "prompts/order-extractor/labels/production") in found(get(target="prompts/order-extractor"))
    assert not [target for _, target in found(get(target="prompts/order-extractor")) if "-2" in target]
    assert found(get(until=middle.isoformat())) == [("key.issued", f"keys/{ApiKey.objects.get().prefix}")]
    assert len(found(get(since=middle.isoformat()))) == AuditEntry.objects.count() - 1
    assert found(get(actor="user:bob")) == []
    assert get(who="anna").status_code == 422


def test_get__pages__each_entry_once(get: Get) -> None:
    given.prompt()
    seen, cursor = [], None

    while True:
        page = get(limit=2, **({"cursor": cursor} if cursor else {})).json()
        seen += [item["id"] for item in page["items"]]
        if not (cursor := page["next"]):
            break

    assert seen == sorted(AuditEntry.objects.values_list("pk", flat=True), reverse=True)


@pytest.mark.parametrize("scope", ["read", "write", "ingest"])
def test_get__key_without_admin__403(client: Client, scope: str) -> None:
    assert client.get("/api/v1/audit", headers=bearer(scope)).status_code == 403


def exported(*options: str) -> str:
    output = io.StringIO()
    call_command("export_audit", *options, stdout=output)
    return output.getvalue()


def test_export__jsonl__as_the_api_answers_the_oldest_first(get: Get) -> None:
    given.prompt()

    lines = [json.loads(line) for line in exported().splitlines()]

    assert lines == get(limit=500).json()["items"][::-1]


def test_export__csv_since__formulas_are_text() -> None:
    make.prompt("before")
    since = now().isoformat()
    make.label(make.version(make.prompt()))
    services.move_label(prompt_name="order-extractor", label="staging", version="1.0", reason="=1+1", actor=make.ANNA)

    rows = list(csv.DictReader(io.StringIO(exported("--format", "csv", "--since", since))))

    assert [row["action"] for row in rows][:2] == ["prompt.created", "label.moved"]
    assert not [row for row in rows if "before" in row["target"]]
    assert rows[-1]["reason"] == "'=1+1"
    assert (rows[-1]["before"], json.loads(rows[-1]["after"])) == ("", {"version": "v1.0"})
    assert rows[-1]["at"].endswith("Z")


def test_export__since_that_is_no_time__says_what_was_expected() -> None:
    with pytest.raises(CommandError, match="2026-11-01T08:00Z"):
        exported("--since", "yesterday")


LIST = "/admin/registry/auditentry/"


def test_admin__list_and_entry__read_only_and_searchable(admin: Client) -> None:
    given.prompt()
    moved = AuditEntry.objects.filter(action="label.moved").latest("pk")

    page = admin.get(LIST, {"q": "go live"}).content.decode()
    one = admin.get(f"{LIST}{moved.pk}/change/").content.decode()

    assert "prompts/order-extractor/labels/production" in page
    assert "prompts/order-extractor/versions" not in page
    assert "v1.0" in one
    assert 'name="_save"' not in one
    assert admin.get(f"{LIST}add/").status_code == 403
    assert admin.post(f"{LIST}{moved.pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(("action", "first"), [("export_as_csv", "id,at,actor"), ("export_as_jsonl", '{"id": ')])
def test_admin__export__all_that_the_filters_leave(admin: Client, action: str, first: str) -> None:
    given.prompt()
    some = AuditEntry.objects.filter(action="version.published")
    ticked = {"action": action, "_selected_action": [some[0].pk], "select_across": "1"}

    answer = admin.post(f"{LIST}?action__exact=version.published", ticked)

    text = b"".join(answer.streaming_content).decode()
    assert text.startswith(first)
    assert text.count("version.published") == 2
    assert "label.moved" not in text
    assert answer["Content-Disposition"].endswith(f'"audit.{action.removeprefix("export_as_")}"')


def test_admin__entry__before_and_after_side_by_side(admin: Client) -> None:
    prompt = given.prompt()
    services.move_label(
        prompt_name=prompt.name, label="production", version="1.1", reason="<script>1</script>", actor=make.ANNA
    )
    moved = AuditEntry.objects.filter(action="label.moved").latest("pk")

    shown = admin.get(f"{LIST}{moved.pk}/change/").content.decode()

    assert "<del>v1.0</del>" in shown
    assert "<ins>v1.1</ins>" in shown
    assert "<script>1" not in shown


@pytest.mark.parametrize(("ending", "first"), [("csv", "id,at,actor"), ("jsonl", '{"id": ')])
def test_admin__export_link__leads_to_all_that_the_filters_leave(admin: Client, ending: str, first: str) -> None:
    given.prompt()
    shown = admin.get(f"{LIST}?action__exact=version.published").content.decode()
    (way,) = re.findall(rf'href="({LIST}export/{ending}/[^"]+)"', shown)

    text = b"".join(admin.get(html.unescape(way)).streaming_content).decode()

    assert text.startswith(first)
    assert text.count("version.published") == 2
    assert "label.moved" not in text


def test_admin__export_of_another_kind__not_found(admin: Client) -> None:
    assert admin.get(f"{LIST}export/xlsx/").status_code == 404


USER = {"username": "bob", "is_active": "on", "date_joined_0": "2026-01-01", "date_joined_1": "12:00:00"}


def test_people__made_changed_and_deleted_in_the_admin__recorded_with_what_they_may(admin: Client) -> None:
    group = Group.objects.create(name="editors")
    right = Permission.objects.get(codename="change_label")

    admin.post(
        "/admin/auth/user/add/",
        {"username": "bob", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD},
    )
    bob = User.objects.get(username="bob")
    admin.post(
        f"/admin/auth/user/{bob.pk}/change/",
        USER | {"is_staff": "on", "groups": [group.pk], "user_permissions": [right.pk]},
    )
    admin.post(f"/admin/auth/user/{bob.pk}/delete/", {"post": "yes"})

    nobody = {"active": True, "staff": False, "superuser": False, "groups": [], "permissions": []}
    may = nobody | {"staff": True, "groups": ["editors"], "permissions": ["registry.change_label"]}
    assert [
        (entry.actor, entry.action, entry.target, entry.before, entry.after)
        for entry in AuditEntry.objects.filter(target="users/bob").order_by("pk")
    ] == [
        ("user:root", "user.created", "users/bob", None, nobody),
        ("user:root", "user.changed", "users/bob", nobody, may),
        ("user:root", "user.deleted", "users/bob", may, None),
    ]


def test_people__deleted_by_the_lists_action__one_entry_each(admin: Client) -> None:
    people = [User.objects.create_user(name) for name in ("bob", "carol")]

    admin.post(
        "/admin/auth/user/",
        {"action": "delete_selected", "_selected_action": [user.pk for user in people], "post": "yes"},
    )

    assert set(AuditEntry.objects.values_list("action", "target")) == {
        ("user.deleted", "users/bob"),
        ("user.deleted", "users/carol"),
    }


def test_groups__made_and_changed__recorded(admin: Client) -> None:
    right = Permission.objects.get(codename="change_label")

    admin.post("/admin/auth/group/add/", {"name": "editors", "permissions": [right.pk]})
    admin.post(f"/admin/auth/group/{Group.objects.get(name='editors').pk}/change/", {"name": "editors"})

    assert entry("group.created").after == {"permissions": ["registry.change_label"]}
    assert (entry("group.changed").before, entry("group.changed").after) == (
        {"permissions": ["registry.change_label"]},
        {"permissions": []},
    )


def test_schedule_of_background_work__deleted__recorded(admin: Client) -> None:
    prune = Schedule.objects.create(name="prune", func="observability.retention.sweep", schedule_type="H")

    admin.post(f"/admin/django_q/schedule/{prune.pk}/delete/", {"post": "yes"})

    deleted = entry("schedule.deleted")
    assert (deleted.actor, deleted.target, deleted.after) == (
        "user:root",
        "schedules/observability.retention.sweep",
        None,
    )
    assert (deleted.before["schedule_type"], deleted.after) == ("H", None)


def test_password__of_another_and_of_oneself__recorded_without_it(admin: Client) -> None:
    bob = User.objects.create_user("bob")
    new = "another correct horse"

    admin.post(f"/admin/auth/user/{bob.pk}/password/", {"usable_password": "true", "password1": new, "password2": new})
    refused = admin.post(
        "/admin/password_change/", {"old_password": "wrong", "new_password1": new, "new_password2": new}
    )
    admin.post("/admin/password_change/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})

    assert refused.status_code == 200
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "target", "before", "after")) == [
        ("user.password_changed", "users/bob", None, None),
        ("user.password_changed", "users/root", None, None),
    ]
    assert User.objects.get(username="root").check_password(new)

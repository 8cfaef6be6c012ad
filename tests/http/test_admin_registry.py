"""The registry's admin, driven as a browser drives it: log in, read the form, send it back."""

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.template import engines
from django.test import Client

from common.clock import now
from registry import rights, services
from registry.keys import hash_key
from registry.models import ApiKey, Event, Label, Prompt, PromptVersion
from tests import make
from tests.browsing import page, send, someone_who_may, text_of

pytestmark = pytest.mark.django_db

DASH = "\N{EN DASH}"


@pytest.fixture
def anna() -> Client:
    """A person who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("anna"))
    return client


@pytest.fixture
def prompt() -> Prompt:
    return make.prompt()


def test_pages__nobody_logged_in__are_not_shown(prompt: Prompt) -> None:
    for path in (page(prompt, "draft"), page(prompt, "publish"), page(prompt, "label"), "/admin/registry/apikey/add/"):
        assert Client().get(path)["Location"].startswith("/admin/login/")


def test_login__with_a_password__leads_to_the_registry(prompt: Prompt) -> None:
    User.objects.create_superuser("anna", password="correct horse battery staple")
    client, path = Client(), page(prompt, "draft")

    answer = client.post(
        f"/admin/login/?next={path}", {"username": "anna", "password": "correct horse battery staple"}, follow=True
    )

    assert answer.redirect_chain[-1][0] == path
    assert answer.status_code == 200


def test_prompt__added__through_the_service(anna: Client) -> None:
    answer = anna.post(
        "/admin/registry/prompt/add/",
        {"name": "order-extractor", "description": "Reads orders", "tags": "orders, mail"},
        follow=True,
    )

    prompt = Prompt.objects.get()
    assert answer.status_code == 200
    assert (prompt.name, prompt.tags, prompt.created_by) == ("order-extractor", ["orders", "mail"], "user:anna")


@pytest.mark.parametrize("name", ["order-extractor", "Order Extractor"])
def test_prompt__name_taken_or_malformed__told_at_the_form(anna: Client, prompt: Prompt, name: str) -> None:
    answer = anna.post("/admin/registry/prompt/add/", {"name": name, "description": "", "tags": ""})

    assert answer.status_code == 200
    assert "name" in answer.context["adminform"].form.errors
    assert Prompt.objects.count() == 1


def test_prompt__name_taken_after_the_form_was_checked__told(
    anna: Client, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Prompt, "validate_unique", lambda *_, **__: None)

    answer = anna.post("/admin/registry/prompt/add/", {"name": prompt.name, "description": "", "tags": ""}, follow=True)

    assert "There is already a prompt order-extractor" in text_of(answer)


def test_prompt__page__shows_labels_and_ways_on_but_nothing_to_type(anna: Client, prompt: Prompt) -> None:
    make.label(make.version(prompt, "2.2"))

    answer = anna.get(f"/admin/registry/prompt/{prompt.pk}/change/")

    assert {"Edit the draft", "Move a label", "production", "order-extractor@v2.2"} <= set(
        re.split(r"\s{2,}", html.unescape(re.sub(r"<[^>]+>", "  ", answer.content.decode())))
    )
    assert b'name="_save"' not in answer.content


def test_version__page__shows_everything_and_can_only_be_read(anna: Client, prompt: Prompt) -> None:
    version = make.version(prompt, "2.2", template="<b>{{ order_text }}</b>\nBe exact.", config={"model": "m"})
    path = f"/admin/registry/promptversion/{version.pk}"

    answer = anna.get(f"{path}/change/")

    assert "<b>{{ order_text }}</b>\nBe exact." in html.unescape(re.sub(r"</?mark[^>]*>", "", answer.content.decode()))
    assert b"<b>" not in answer.content
    assert version.sha256 in text_of(answer)
    for button in (b'name="_save"', b'name="_continue"', b"deletelink", b'name="_addanother"'):
        assert button not in answer.content
    assert anna.post(f"{path}/change/", {"template": "other"}).status_code == 403
    assert anna.post(f"{path}/delete/", {"post": "yes"}).status_code == 403
    assert anna.get("/admin/registry/promptversion/add/").status_code == 403


@pytest.mark.parametrize("model", ["prompt", "promptversion", "label", "apikey", "auditentry"])
def test_lists__show_rows_in_bounded_queries_and_cannot_delete(
    anna: Client, model: str, django_assert_max_num_queries: Any
) -> None:
    for name in "abcdef":
        make.label(make.version(made := make.prompt(name)))
        make.draft(made)
        make.key()

    with django_assert_max_num_queries(8):  # session, user, counts, rows, and those of prefetched or filtered columns
        answer = anna.get(f"/admin/registry/{model}/")

    assert answer.status_code == 200
    assert "delete_selected" not in answer.content.decode()


def rows(client: Client) -> dict[str, tuple[str, str]]:
    """Each prompt's production version and draft, as the list shows them."""
    shown = client.get("/admin/registry/prompt/").content.decode()
    columns = [
        re.findall(rf'field-{name}">(?:<a [^>]+>)?([^<]+)<', shown) for name in ("name", "production", "draft_state")
    ]
    return {name: (production, draft) for name, production, draft in zip(*columns, strict=True)}


def test_prompts__list__what_is_live_and_whose_words_are_not_published(anna: Client, prompt: Prompt) -> None:
    make.label(make.version(prompt, "2.2"))
    make.version(make.prompt("no-label"), "2.3")
    make.prompt("empty")
    with time_machine.travel(now() - timedelta(hours=2, minutes=5)):
        make.draft(prompt, "Other words")

    assert rows(anna) == {
        "order-extractor": ("v2.2", "draft by anna, 2 h ago"),
        "no-label": (DASH, DASH),
        "empty": (DASH, DASH),
    }


@pytest.mark.parametrize("schema", [None, {"type": "object", "properties": {"order_text": {"type": "string"}}}])
def test_prompts__draft_that_says_what_a_version_says__is_none(anna: Client, prompt: Prompt, schema: Any) -> None:
    content = make.content(config={"b": 1, "a": [1.0, None]}, input_schema=schema)
    services.save_draft(prompt=prompt, content=content, notes="n", expected_revision=None, actor=make.ANNA)
    before = rows(anna)
    services.publish_draft(prompt=prompt, expected_revision=1, actor=make.ANNA)

    after = rows(anna)

    assert before["order-extractor"][1] == "draft by anna, just now"
    assert after["order-extractor"][1] == DASH
    other = make.content(config={"b": 1, "a": [1, None]}, input_schema=schema, response_schema={})
    services.save_draft(prompt=prompt, content=other, notes="n", expected_revision=2, actor=make.ANNA)
    assert rows(anna)["order-extractor"][1] == "draft by anna, just now"


def version_page(version: PromptVersion) -> str:
    return f"/admin/registry/promptversion/{version.pk}/change/"


def test_version__page__contract_labels_and_what_changed_since_the_one_before(anna: Client, prompt: Prompt) -> None:
    make.version(prompt, "2.2", template="Read the order")
    version = make.version(prompt, "2.3", template="Read every order", response_schema={"type": "object"})
    make.label(version, "staging")

    answer = anna.get(version_page(version))

    shown = text_of(answer)
    assert "latest , staging point here" in shown
    assert "What changed since v2.2" in shown
    assert "Read <del>the</del><ins>every</ins> order" in answer.content.decode()
    assert "What an answer must be: object" in shown


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([], "No label points here."),
        (["staging"], "staging points here."),
        (["beta", "staging"], "beta , staging point here."),
    ],
)
def test_version__its_labels__told_in_a_sentence(anna: Client, prompt: Prompt, labels: list[str], said: str) -> None:
    version = make.version(prompt, "2.2")
    make.version(prompt, "2.3")  # which `latest` points at
    for label in labels:
        make.label(version, label)

    shown = text_of(anna.get(version_page(version)))

    assert said in shown


def test_version__compared_with_any_other__also_with_a_newer_one(anna: Client, prompt: Prompt) -> None:
    first = make.version(prompt, "2.2", template="Read the order")
    make.version(prompt, "3.0", template=[{"role": "user", "content": "Read every order"}])

    alone = anna.get(version_page(first))
    compared = anna.get(version_page(first), {"against": "v3.0"})

    assert "What changed since" not in text_of(alone)
    assert "What changed since v3.0" in text_of(compared)
    assert "message removed" in text_of(compared)
    assert "<del>Read every order</del>" in compared.content.decode()


def test_version__page__others_put_its_usage_into_it(anna: Client, prompt: Prompt) -> None:
    version = make.version(prompt)
    extended = '{% extends "registry/admin/version.html" %}{% block usage %}used by {{ original }}{% endblock %}'

    shown = anna.get(version_page(version))
    context = {name: shown.context[name] for name in ("original", "opts", "shown", "variables", "labels", "difference")}
    rendered = engines["django"].from_string(extended).render({"change": True} | context)

    assert "used by order-extractor@v1.0" in rendered


def test_versions__of_one_prompt__listed(anna: Client, prompt: Prompt) -> None:
    make.version(prompt)
    make.version(make.prompt("other"))

    answer = anna.get("/admin/registry/promptversion/", {"prompt__id__exact": prompt.pk})

    assert "order-extractor@v1.0" in text_of(answer)
    assert "other@v1.0" not in text_of(answer)


def test_archive__by_action__and_back(anna: Client, prompt: Prompt) -> None:
    def act(action: str) -> Any:
        body = {"action": action, "_selected_action": [prompt.pk]}
        return anna.post("/admin/registry/prompt/", body, follow=True)

    label = make.label(make.version(prompt))
    services.hold_label(label_id=label.pk, rollout_id="rol_1")
    assert "is held by the active rollout rol_1" in text_of(act("archive"))
    services.release_label(label_id=label.pk)

    assert "Archived order-extractor." in text_of(act("archive"))
    refused = send(anna, page(prompt, "draft"), template="Hello")
    assert "The prompt order-extractor was archived" in text_of(refused)
    assert "Took back into service order-extractor." in text_of(act("unarchive"))
    assert Prompt.objects.get().archived_at is None


def test_key__issued__shown_once_and_stored_nowhere(anna: Client) -> None:
    path = "/admin/registry/apikey/add/"

    answer = anna.post(path, {"name": "orders", "scopes": ["read", "ingest"]})

    (text,) = re.findall(r'<pre id="key">(ser_[^<]+)</pre>', answer.content.decode())
    key = ApiKey.objects.get()
    assert (key.name, key.scopes, key.created_by) == ("orders", ["read", "ingest"], "user:anna")
    assert key.sha256 == hash_key(text)
    assert "no-store" in answer["Cache-Control"]
    for other in ("/admin/", "/admin/registry/apikey/", f"/admin/registry/apikey/{key.pk}/change/", path):
        assert text not in anna.get(other).content.decode()
    assert text not in str(anna.cookies)


def test_key__restricted__issued_and_shown_as_such(anna: Client) -> None:
    limits = {"prompt_prefix": "orders-", "labels": "staging, own", "expires_at": "2030-01-31 14:05"}

    anna.post("/admin/registry/apikey/add/", {"name": "orders", "scopes": ["read"]} | limits)

    key = ApiKey.objects.get()
    assert (key.prompt_prefix, key.labels) == ("orders-", ["own", "staging"])
    assert key.expires_at == datetime(2030, 1, 31, 14, 5, tzinfo=UTC)
    assert "prompts orders-…; labels own, staging" in text_of(anna.get("/admin/registry/apikey/"))


def test_key__issued_by_a_person__can_do_no_more_than_they(prompt: Prompt) -> None:
    path = "/admin/registry/apikey/add/"
    writer = someone_who_may("add_apikey", *(right.split(".")[1] for right in rights.OF_WRITE))
    issuer = someone_who_may("add_apikey", "add_promptversion", name="carl")

    for person, scope in ((issuer, "write"), (issuer, "admin"), (writer, "admin")):
        assert "not one of the available choices" in text_of(person.post(path, {"name": "n", "scopes": [scope]}))
    assert not ApiKey.objects.exists()
    writer.post(path, {"name": "n", "scopes": ["write"]})
    issuer.post(path, {"name": "n", "scopes": ["read", "ingest"]})
    assert list(ApiKey.objects.order_by("pk").values_list("scopes", flat=True)) == [["write"], ["read", "ingest"]]


def test_key__no_scope__told_at_the_field(anna: Client) -> None:
    answer = anna.post("/admin/registry/apikey/add/", {"name": "orders"})

    assert list(answer.context["form"].errors) == ["scopes"]
    assert not ApiKey.objects.exists()


def test_key__revoked_by_action(anna: Client) -> None:
    make.key()
    key = ApiKey.objects.get()

    answer = anna.post("/admin/registry/apikey/", {"action": "revoke", "_selected_action": [key.pk]}, follow=True)

    key.refresh_from_db()
    assert key.revoked_at is not None
    assert "Revoked app (ser_" in text_of(answer)


@pytest.mark.parametrize(
    ("name", "permission"), [("draft", "change_draft"), ("publish", "add_promptversion"), ("label", "change_label")]
)
def test_rights__each_page_needs_its_own(prompt: Prompt, name: str, permission: str) -> None:
    services.save_draft(prompt=prompt, content=make.content(), notes="n", expected_revision=None, actor=make.ANNA)

    with_it = someone_who_may(permission, "view_prompt")

    assert with_it.get(page(prompt, name)).status_code == 200
    for other in {"draft", "publish", "label"} - {name}:
        assert with_it.get(page(prompt, other)).status_code == 403
        assert with_it.post(page(prompt, other), {}).status_code == 403
    shown = with_it.get(f"/admin/registry/prompt/{prompt.pk}/change/").content.decode()
    assert page(prompt, name) in shown
    assert [other for other in ("draft", "publish", "label") if page(prompt, other) in shown] == [name]


@pytest.mark.parametrize(("permission", "moved"), [("change_label", "staging"), ("move_production", "production")])
def test_rights__production_and_other_labels__are_two(prompt: Prompt, permission: str, moved: str) -> None:
    make.version(prompt, "2.2")
    person = someone_who_may(permission, "view_prompt", "view_label")
    for label in ("staging", "production"):
        answer = send(person, page(prompt, "label"), label=label, reason="r")
        assert answer.status_code == (200 if label == moved else 403)
    assert list(Label.objects.exclude(name="latest").values_list("name", flat=True)) == [moved]


def test_rights__missing__a_page_says_which_one(prompt: Prompt) -> None:
    answer = someone_who_may("view_prompt").get(page(prompt, "label"))

    assert answer.status_code == 403
    assert "It takes the right to move labels other than production or to move the label production." in text_of(answer)


def test_rights__taken_away_while_the_change_waits__all_is_undone(
    prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.version(prompt, "2.2")
    person, move = someone_who_may("change_label"), services.move_label

    def moved_late(**how: Any) -> Label:
        label = move(**how)
        User.objects.get(username="ben").user_permissions.clear()
        return label

    monkeypatch.setattr(services, "move_label", moved_late)
    answer = send(person, page(prompt, "label"), label="staging", reason="r")

    assert answer.status_code == 403
    assert "has just been taken away" in text_of(answer)
    assert not Label.objects.filter(name="staging").exists()
    assert not Event.objects.filter(type="label.moved").exists()


def test_rights__viewer__may_not_add_archive_issue_or_revoke(prompt: Prompt) -> None:
    make.key()
    viewer = someone_who_may("view_prompt", "view_apikey")

    assert viewer.get("/admin/registry/prompt/add/").status_code == 403
    assert viewer.get("/admin/registry/apikey/add/").status_code == 403
    for model, action, row in (("prompt", "archive", prompt), ("apikey", "revoke", ApiKey.objects.get())):
        viewer.post(f"/admin/registry/{model}/", {"action": action, "_selected_action": [row.pk]})
    assert Prompt.objects.get().archived_at is None
    assert ApiKey.objects.get().revoked_at is None

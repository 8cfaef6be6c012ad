"""Labels in the admin: moved, with their whole history, and back to what they pointed at."""

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from registry import services
from registry.admin import forms
from registry.models import Label, LabelMove, Prompt
from tests import make
from tests.browsing import fields_of, page, send, someone_who_may, text_of

pytestmark = pytest.mark.django_db

NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.fixture
def anna() -> Client:
    """A person who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("anna"))
    return client


@pytest.fixture
def prompt() -> Prompt:
    return make.prompt()


def test_label__moved_with_a_reason__shown_among_its_moves(anna: Client, prompt: Prompt) -> None:
    make.label(make.version(prompt, "2.2"))
    better = make.version(prompt, "2.3")

    answer = send(anna, page(prompt, "label"), version=better.pk, reason="2.3 is better")

    assert "Moved order-extractor:production to v2.3." in text_of(answer)
    assert "2.3 is better" in text_of(answer)
    assert Label.objects.get(name="production").version == better


def test_label__from_its_own_page__form_knows_the_label(anna: Client, prompt: Prompt) -> None:
    label = make.label(make.version(prompt, "2.2"), "staging")

    shown = anna.get(f"/admin/registry/label/{label.pk}/change/").content.decode()

    (way,) = re.findall(r'href="([^"]+/label/\?label=[^"]+)"', shown)
    assert fields_of(anna, html.unescape(way))["label"] == "staging"
    assert 'name="_save"' not in shown


def test_label__held__refused_in_words(anna: Client, prompt: Prompt) -> None:
    label = make.label(make.version(prompt, "2.2"))
    better = make.version(prompt, "2.3")
    services.hold_label(label_id=label.pk, rollout_id="rol_1")

    answer = send(anna, page(prompt, "label"), version=better.pk, reason="2.3 is better")

    assert answer.status_code == 200
    assert "order-extractor:production is held by the active rollout rol_1: end it first" in text_of(answer)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"label": "latest"}, "latest moves by itself"),
        ({"label": "Production"}, "expected 1 to 64 of a-z"),
        ({"reason": "  "}, "This field is required"),
    ],
)
def test_label__wrong_input__told_at_the_field(anna: Client, prompt: Prompt, typed: Any, told: str) -> None:
    version = make.version(prompt, "2.2")

    answer = send(anna, page(prompt, "label"), **{"version": version.pk, "reason": "go"} | typed)

    assert told in text_of(answer)
    assert list(answer.context["form"].errors) == list(typed)


def test_label__many_versions__the_newest_are_offered(
    anna: Client, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "VERSIONS_OFFERED", 2)
    versions = [make.version(prompt, number) for number in ("1.0", "1.1", "1.2")]

    form = anna.get(page(prompt, "label")).context["form"]
    refused = send(anna, page(prompt, "label"), version=versions[0].pk, reason="back")

    assert list(form.fields["version"].queryset) == [versions[2], versions[1]]
    assert list(refused.context["form"].errors) == ["version"]


def test_lists_of_versions__what_they_say_is_not_read(anna: Client, prompt: Prompt) -> None:
    make.version(prompt, "2.2")

    with CaptureQueriesContext(connection) as captured:
        for address in (page(prompt, "label"), "/admin/registry/promptversion/"):
            assert "order-extractor@v2.2" in anna.get(address).content.decode()

    of_versions = [query["sql"] for query in captured if "registry_promptversion" in query["sql"]]
    assert of_versions
    assert not [sql for sql in of_versions if '"registry_promptversion"."template"' in sql]


def test_label__version_of_another_prompt__refused(anna: Client, prompt: Prompt) -> None:
    foreign = make.version(make.prompt("other"))

    answer = send(anna, page(prompt, "label"), version=foreign.pk, reason="go")

    assert list(answer.context["form"].errors) == ["version"]


def label_page(label: Label) -> str:
    return f"/admin/registry/label/{label.pk}/change/"


def restore_page(label: Label) -> str:
    return reverse("admin:registry_label_restore", args=[label.pk])


@pytest.fixture
def moved(prompt: Prompt) -> Label:
    """production: v2.2 from nine o'clock, v2.3 from ten."""
    first, second = make.version(prompt, "2.2"), make.version(prompt, "2.3")
    with travel(NINE):
        make.label(first)
    with travel(NINE + timedelta(hours=1)):
        return make.label(second)


def travel(to: datetime) -> Any:
    return time_machine.travel(to, tick=False)


def test_history__every_move__who_when_why_from_and_to(anna: Client, moved: Label) -> None:
    shown = text_of(anna.get(label_page(moved)))

    assert "2026-01-31 10:00:00 v2.2 v2.3 user:anna it is ready" in shown
    assert "2026-01-31 09:00:00 nowhere v2.2 user:anna it is ready" in shown


def test_history__long__page_by_page_in_bounded_queries(
    anna: Client, moved: Label, django_assert_max_num_queries: Any
) -> None:
    versions = [moved.version, moved.prompt.versions.get(minor=2)]
    for number in range(120):
        make.label(versions[1 - number % 2])

    with django_assert_max_num_queries(14):
        newest = text_of(anna.get(label_page(moved)))
    oldest = text_of(anna.get(label_page(moved), {"page": 2}))

    assert "Page 1 of 2 Older" in newest
    assert "nowhere" not in newest
    assert "nowhere v2.2" in oldest


@pytest.mark.parametrize(
    ("at", "answer"),
    [
        ("2026-01-31 09:00", "At 2026-01-31 09:00:00 UTC it pointed at v2.2 , moved there at 2026-01-31 09:00:00"),
        ("2026-01-31T09:59:59.999999", "it pointed at v2.2"),
        ("2026-01-31 10:00", "it pointed at v2.3"),
        ("2099-01-01", "it pointed at v2.3"),
        ("2026-01-31 08:59", "there was no such label yet"),
        ("2026-01-31T11:00+02:00", "At 2026-01-31 09:00:00 UTC it pointed at v2.2"),
        ("yesterday", "Enter a valid date/time"),
        ("0001-01-01T00:00:00+14:00", "Enter a valid date/time"),
        ("9999-12-31T23:59:59-12:00", "Enter a valid date/time"),
        ("", "This field is required"),
    ],
)
def test_what_was_live_at__answered_in_the_page(anna: Client, moved: Label, at: str, answer: str) -> None:
    shown = anna.get(label_page(moved), {"at": at})

    assert answer in text_of(shown)
    assert ("Restore v2.2" in text_of(shown)) == ("it pointed at v2.2" in answer)


def test_restore__what_was_live_then__moved_there_with_the_reason(anna: Client, moved: Label) -> None:
    shown = anna.get(label_page(moved), {"at": "2026-01-31 09:30"}).content.decode()
    (way,) = set(re.findall(r'class="button" href="([^"]+/restore/\?at=[^"]+)"', shown))

    answer = send(anna, html.unescape(way), reason="2.3 invents totals")

    assert "Restored order-extractor:production to v2.2." in text_of(answer)
    assert "2.3 invents totals" in text_of(answer)
    move = LabelMove.objects.first()
    assert move is not None
    assert (move.to_version.number, move.reason, move.actor) == ("v2.2", "2.3 invents totals", "user:anna")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_restore__time_beyond_the_calendar__told_at_the_field(anna: Client, moved: Label, at: str) -> None:
    answer = send(anna, f"/admin/registry/label/{moved.pk}/restore/", at=at, reason="back")

    assert list(answer.context["form"].errors) == ["at"]


def test_restore__from_the_history__to_exactly_that_move(anna: Client, moved: Label) -> None:
    shown = anna.get(label_page(moved)).content.decode()
    (way,) = re.findall(r'href="([^"]+)" aria-label="Restore v2.2"', shown)

    send(anna, html.unescape(way), reason="back")

    assert Label.objects.get(name="production").version.number == "v2.2"


def test_restore__held_by_a_rollout__refused_in_words(anna: Client, moved: Label) -> None:
    services.hold_label(label_id=moved.pk, rollout_id="rol_1")

    answer = send(anna, restore_page(moved), at="2026-01-31 09:30", reason="back")

    assert "order-extractor:production is held by the active rollout rol_1: end it first" in text_of(answer)
    assert "The rollout rol_1 holds it" in text_of(anna.get(label_page(moved)))
    assert Label.objects.get(name="production").version.number == "v2.3"


def test_restore__moved_meanwhile__told_and_only_then_done(anna: Client, moved: Label) -> None:
    fields = fields_of(anna, restore_page(moved)) | {"at": "2026-01-31 09:30", "reason": "back"}
    make.label(make.version(moved.prompt, "2.4"))

    overtaken = anna.post(restore_page(moved), fields)

    assert "it points at v2.4 now" in text_of(overtaken)
    assert Label.objects.get(name="production").version.number == "v2.4"
    anna.post(restore_page(moved), {field.name: field.value() for field in overtaken.context["form"]})
    assert Label.objects.get(name="production").version.number == "v2.2"


@pytest.mark.parametrize(
    ("typed", "field"),
    [({"at": "2026-01-31 08:00"}, "at"), ({"at": "soon"}, "at"), ({"reason": " "}, "reason")],
)
def test_restore__wrong_input__told_at_the_field(anna: Client, moved: Label, typed: Any, field: str) -> None:
    answer = send(anna, restore_page(moved), **{"at": "2026-01-31 09:30", "reason": "back"} | typed)

    assert list(answer.context["form"].errors) == [field]
    assert Label.objects.get(name="production").version.number == "v2.3"


def test_restore__production_and_other_labels__take_two_rights(moved: Label) -> None:
    staging = make.label(moved.version, "staging")
    person = someone_who_may("view_label", "change_label")

    assert person.get(restore_page(moved)).status_code == 403
    assert "Restore" not in text_of(person.get(label_page(moved)))
    assert person.get(restore_page(staging)).status_code == 200
    assert "Move" in text_of(person.get(label_page(staging)))


def test_latest__moves_by_itself__no_ways_to_move_it(anna: Client, moved: Label) -> None:
    latest = moved.prompt.labels.get(name="latest")

    shown = text_of(anna.get(label_page(latest)))
    refused = send(anna, restore_page(latest), at="2099-01-01", reason="back")

    assert "Restore" not in shown
    assert "latest moves by itself with every publication" in text_of(refused)


def test_label__of_a_hostile_reason__escaped(anna: Client, moved: Label) -> None:
    services.move_label(
        prompt_name="order-extractor",
        label="production",
        version="2.2",
        reason="<script>alert(1)</script>",
        actor=make.ANNA,
    )

    assert b"<script>alert" not in anna.get(label_page(moved)).content

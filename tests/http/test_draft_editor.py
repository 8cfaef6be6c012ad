"""Drafts in the admin: edited, previewed, overtaken, published."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from registry import services
from registry.models import Draft, Prompt, PromptVersion
from tests import make
from tests.browsing import fields_of, page, send, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> Client:
    """A person who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("anna"))
    return client


@pytest.fixture
def prompt() -> Prompt:
    return make.prompt()


def test_draft__first_save_then_edit__kept_with_its_revision(anna: Client, prompt: Prompt) -> None:
    send(anna, page(prompt, "draft"), template="Hello\r\n{{ name }}", config='{"model": "m"}', notes="first")
    answer = send(anna, page(prompt, "draft"), template="\r\nHello {{ name }}")

    draft = Draft.objects.get()
    assert "Saved revision 2 of the draft." in text_of(answer)
    assert (draft.template, draft.config, draft.notes) == ("\nHello {{ name }}", {"model": "m"}, "first")
    assert (draft.revision, draft.updated_by) == (2, "user:anna")


def test_draft__begins_as_the_newest_version(anna: Client, prompt: Prompt) -> None:
    make.version(prompt, template=[{"role": "system", "content": "Hi {{ name }}"}], config={"temperature": 0})

    fields = fields_of(anna, page(prompt, "draft"))

    assert (fields["type"], fields["revision"], fields["notes"]) == ("chat", "", "")
    assert '"content": "Hi {{ name }}"' in fields["template"]
    assert fields["config"] == '{\n  "temperature": 0\n}'


def test_draft__chat__written_as_json(anna: Client, prompt: Prompt) -> None:
    messages = '[{"role": "user", "content": "{{ question }}"}]'

    refused = send(anna, page(prompt, "draft"), type="chat", template="Hello")
    send(anna, page(prompt, "draft"), type="chat", template=messages)

    assert "A chat template is a JSON list of messages" in text_of(refused)
    assert Draft.objects.get().template == [{"role": "user", "content": "{{ question }}"}]


@pytest.mark.parametrize("config", ["{", '{"a": NaN}', "[" * 100_000, '{"a": "\\ud800"}'])
def test_draft__what_is_not_storable_json__told_at_the_field(anna: Client, prompt: Prompt, config: str) -> None:
    answer = send(anna, page(prompt, "draft"), template="My words", config=config)

    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == ["config"]
    assert "My words" in answer.content.decode()
    assert not Draft.objects.exists()


def test_draft__unfinished__saved_and_told_what_is_missing(anna: Client, prompt: Prompt) -> None:
    answer = send(anna, page(prompt, "draft"), template='Answer as {{"total": 1}}')

    assert Draft.objects.get().template == 'Answer as {{"total": 1}}'
    assert "It cannot be published yet" in text_of(answer)
    assert "write \\{{ for two literal braces" in text_of(answer)


def test_draft__overtaken__both_texts_are_shown_and_saving_again_goes_through(anna: Client, prompt: Prompt) -> None:
    path = page(prompt, "draft")
    send(anna, path, template="The beginning", notes="n")
    mine = fields_of(anna, path) | {"template": "My own words"}
    services.save_draft(
        prompt=prompt,
        content=make.content("The words of another", config={"model": "theirs"}),
        notes="n",
        expected_revision=1,
        actor=make.ANNA,
    )

    overtaken = anna.post(path, mine)

    assert overtaken.status_code == 200
    assert "Stored by user:anna while you edited, revision 2" in text_of(overtaken)
    ((stored, differing),) = overtaken.context["kept"]
    assert (stored.fields["template"], stored.fields["config"]) == (
        "The words of another",
        '{\n  "model": "theirs"\n}',
    )
    assert [field.label for field in differing] == ["Template", "Config"]
    assert "The words of another" in text_of(overtaken)
    assert overtaken.context["form"]["template"].value() == "My own words"
    assert Draft.objects.get().template == "The words of another"
    again = {field.name: field.value() or "" for field in overtaken.context["form"]}
    anna.post(path, again)
    assert Draft.objects.get().template == "My own words"


def test_publish__shows_the_smallest_step_with_reasons_and_the_diff(anna: Client, prompt: Prompt) -> None:
    make.version(prompt, "2.2")

    answer = send(
        anna, page(prompt, "draft"), template=make.TEXT + " for {{ shop }}", notes="shops differ", _publish="1"
    )

    shown = text_of(answer)
    assert answer.redirect_chain[-1][0] == page(prompt, "publish")
    assert "Smallest step from v2.2: major" in shown
    assert "major: the required variable shop was added" in shown
    assert "<ins> for {{ shop }}</ins>" in answer.content.decode()
    assert "shops differ" in shown
    assert [value for value, _ in answer.context["form"]["bump"].field.choices] == ["", "major"]


def test_publish__makes_the_version_and_shows_it(anna: Client, prompt: Prompt) -> None:
    make.version(prompt, "2.2")
    send(anna, page(prompt, "draft"), template=make.TEXT + " Be exact.", notes="clearer")

    answer = send(anna, page(prompt, "publish"))

    version = PromptVersion.objects.get(ordinal=2)
    assert "Published order-extractor@v2.3." in text_of(answer)
    assert answer.redirect_chain[-1][0] == f"/admin/registry/promptversion/{version.pk}/change/"
    assert (version.notes, version.published_by) == ("clearer", "user:anna")
    assert Draft.objects.get().notes == ""


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"version": "2.2"}, "order-extractor@v2.2 exists already, and a version never changes"),
        ({"version": "2.3"}, "the required variable shop was added"),
        ({"version": "3"}, "expected major and minor such as 3.0"),
        ({"bump": "minor"}, "Select a valid choice"),
        ({"version": "3.0", "bump": "major"}, "expected either version or bump, not both"),
        ({"revision": "7"}, "The draft was changed by user:anna in the meantime"),
        ({"revision": ""}, "The draft was changed by user:anna in the meantime"),
    ],
)
def test_publish__refused__told_at_the_form(anna: Client, prompt: Prompt, typed: Any, told: str) -> None:
    make.version(prompt, "2.2")
    send(anna, page(prompt, "draft"), template=make.TEXT + " for {{ shop }}", notes="shops differ")

    answer = send(anna, page(prompt, "publish"), **typed)

    assert answer.status_code == 200
    assert told in text_of(answer)
    assert PromptVersion.objects.count() == 1
    assert answer.context["form"]["revision"].value() in {1, "1"}


def test_publish__without_notes_or_with_a_draft_that_is_not_finished__told(anna: Client, prompt: Prompt) -> None:
    send(anna, page(prompt, "draft"), template="As {{")
    unfinished = send(anna, page(prompt, "publish"))
    send(anna, page(prompt, "draft"), template="Hello")
    without_notes = send(anna, page(prompt, "publish"))

    assert "A version needs notes." in text_of(unfinished)
    assert "notes: say what changed and why" in text_of(without_notes)
    assert not PromptVersion.objects.exists()


def test_publish__no_draft__not_found(anna: Client, prompt: Prompt) -> None:
    assert anna.get(page(prompt, "publish")).status_code == 404

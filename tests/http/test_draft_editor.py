"""Drafts in the admin: edited, previewed, overtaken, published."""

import html
import json
import re
from time import monotonic
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from registry import selectors, services
from registry.core.content import Content
from registry.models import Draft, Prompt, PromptVersion
from tests import make
from tests.browsing import fields_of, page, send, someone_who_may, text_of

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


def test_draft__opened__nothing_is_called_wrong_before_anything_is_typed(anna: Client, prompt: Prompt) -> None:
    new = anna.get(page(prompt, "draft"))
    make.version(prompt, "2.4")
    begun = anna.get(page(prompt, "draft"))

    assert new.context["problems_of"] == begun.context["problems_of"] == {}
    assert part(new, "step") == "Publishing this text Still to be written: the text, the notes."
    assert part(begun, "step") == "Publishing this text The text is that of v2.4. Still to be written: the notes."


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


def test_draft__large_and_overtaken_twice__all_three_texts_survive(anna: Client, prompt: Prompt) -> None:
    content, path = Content("text", "a" * 10), page(prompt, "draft")
    for revision in (None, 1):
        services.save_draft(prompt=prompt, content=content, notes="", expected_revision=revision, actor=make.ANNA)
    typed = fields_of(anna, path) | {"revision": "1", "template": "é" * 600_000, "notes": "mine"}

    for revision, letter in ((2, "ä"), (3, "ö")):
        content = Content("text", letter * 600_000)
        services.save_draft(prompt=prompt, content=content, notes="", expected_revision=revision, actor=make.ANNA)
        answer = anna.post(path, typed)
        kept = [text.as_field for text, _ in answer.context["kept"]]
        typed |= {"revision": str(revision + 1), "kept": kept}
    answer = anna.post(path, typed)

    assert [text.fields["template"][0] for text, _ in answer.context["kept"]] == ["ö", "ä"]
    assert Draft.objects.get().template == "é" * 600_000


@pytest.mark.parametrize("checks_tokens", [True, False])
def test_form__too_large__a_page_that_says_the_limit(prompt: Prompt, settings: Settings, checks_tokens: bool) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2048
    client = Client(enforce_csrf_checks=checks_tokens)
    client.force_login(User.objects.create_superuser("anna"))
    client.get(page(prompt, "draft"))

    answer = client.post(page(prompt, "draft"), {"type": "text", "template": "x" * 2048})

    assert answer.status_code == 413
    assert "may have 2.0\xa0KB at most" in html.unescape(answer.content.decode())


def test_draft__kept_text_that_no_page_can_show__left_out(anna: Client, prompt: Prompt) -> None:
    path = page(prompt, "draft")
    names = ("type", "template", "config", "input_schema", "response_schema", "notes")
    kept = json.dumps({"title": "Yours", "fields": dict.fromkeys(names, "") | {"template": "\ud800"}})

    answer = anna.post(path, fields_of(anna, path) | {"template": "Hi", "kept": kept, "_preview": "Preview"})

    assert answer.status_code == 200
    assert answer.context["kept"] == []


def test_preview__chat_that_no_page_can_show__told(anna: Client, prompt: Prompt) -> None:
    answer = preview(anna, prompt, type="chat", template='[{"role": "user", "content": "\\ud800"}]')

    assert answer.status_code == 200
    assert "without lone surrogate characters" in part(answer, "step")


def preview(client: Client, prompt: Prompt, **typed: Any) -> Any:
    """What stands beside the form, for what is typed."""
    empty = {"type": "text", "template": "", "config": "", "input_schema": "", "response_schema": "", "notes": "n"}
    return client.post(page(prompt, "draft") + "preview/", empty | typed)


def part(answer: Any, name: str) -> str:
    """The words of one part of it."""
    found = re.search(rf'data-part="{name}".*?(?=<[^>]*data-part=|\Z)', answer.content.decode(), re.DOTALL)
    assert found is not None
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found[0].partition(">")[2])).split())


SCHEMA = json.dumps(
    {
        "properties": {"name": {"type": "string"}, "limit": {"type": "integer", "default": 10}},
        "required": ["name"],
    }
)


def test_preview__text__values_in_their_places_and_others_as_they_are_written(anna: Client, prompt: Prompt) -> None:
    typed = {"template": "Hi {{ name }}, {{ limit }} of {{ shop }} \\{{ x }}", "input_schema": SCHEMA}

    answer = preview(anna, prompt, **typed, **{"value.name": "<b>Ann</b>"})

    assert part(answer, "preview") == "Preview Hi <b>Ann</b> , 10 of {{ shop }} {{ x }}"
    assert b"<b>" not in answer.content
    assert [(field.name, field.kind, field.text) for field in answer.context["value_fields"]] == [
        ("name", "string", "<b>Ann</b>"),
        ("limit", "integer", "10"),
        ("shop", "", ""),
    ]
    assert not Draft.objects.exists()


def test_preview__filled__as_the_api_renders_it(anna: Client, prompt: Prompt) -> None:
    template = [
        {"role": "system", "content": "For {{ shop }}: \\{{ {{ limit }}"},
        {"type": "placeholder", "name": "history"},
        {"role": "user", "content": "{{ question }}"},
    ]
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    values: dict[str, Any] = {"shop": "Nordwind", "limit": 3, "history": history, "question": "{{ shop }}"}
    typed = {f"value.{name}": v if isinstance(v, str) else json.dumps(v) for name, v in values.items()}
    rendered = selectors.preview(make.version(prompt, template=template), values)

    answer = preview(anna, prompt, type="chat", template=json.dumps(template), **typed)

    shown = [(message.role, "".join(piece.text for piece in message.pieces)) for message in answer.context["shown"]]
    assert shown == [(message["role"], message["content"]) for message in rendered]


def test_preview__placeholder_without_messages__shown_by_its_name(anna: Client, prompt: Prompt) -> None:
    template = '[{"type": "placeholder", "name": "history"}]'

    empty = preview(anna, prompt, type="chat", template=template)
    wrong = preview(anna, prompt, type="chat", template=template, **{"value.history": "Hi"})

    assert part(empty, "preview") == part(wrong, "preview") == "Preview placeholder history"
    assert "expected messages as JSON" in part(wrong, "values")


@pytest.mark.parametrize(
    ("typed", "field", "told"),
    [
        ({"template": "Hi\n\n{{ nmae }}"}, "template", "line 3: unknown variable {{ nmae }}"),
        ({"template": "Hi\n\n{{ nmae }}"}, "template", "was {{ name }} meant?"),
        ({"template": "Hi {{"}, "template", "line 1, column 4: expected a variable"),
        (
            {"type": "chat", "template": '[{"role": "user", "content": "{{ name }}\\n{{ x }}"}]'},
            "template",
            "message 1: line 2: unknown variable {{ x }}",
        ),
        ({"type": "chat", "template": '[{"role": "user"}]'}, "template", "message 1: expected"),
        ({"type": "chat", "template": "Hello"}, "template", "A chat template is a JSON list of messages"),
        ({"config": "{"}, "config", "Enter a valid JSON."),
        ({"response_schema": '{"type": "text"}'}, "response_schema", "type: not valid JSON Schema"),
        ({"input_schema": '{"properties": {"a b": {}}}'}, "input_schema", "properties: expected names of variables"),
        ({"type": "poem"}, "type", "Select a valid choice"),
    ],
)
def test_preview__problem__told_at_its_field(
    anna: Client, prompt: Prompt, typed: dict[str, str], field: str, told: str
) -> None:
    answer = preview(anna, prompt, **{"template": "Hi {{ name }}", "input_schema": SCHEMA} | typed)

    assert any(told in message for message in answer.context["problems_of"][field])
    assert list(answer.context["problems_of"]) == [field]
    assert told in part(answer, "step")
    assert f'data-field="{field}"' in answer.content.decode()


def test_preview__thousands_of_variables__a_page_of_a_size_to_be_read(anna: Client, prompt: Prompt) -> None:
    schema = {"properties": {f"declared_{number}": {} for number in range(2000)}}

    answer = preview(
        anna,
        prompt,
        template="".join(f"{{{{ used_{number} }}}}" for number in range(2000)),
        input_schema=json.dumps(schema),
    )

    assert "and 1950 more unknown variables" in part(answer, "step")
    assert len(answer.content) < 2_000_000


def test_preview__contract__what_callers_must_pass_and_what_became_otherwise(anna: Client, prompt: Prompt) -> None:
    make.version(prompt, template="{{ name }} {{ old }}", response_schema={"type": "object"})
    schema = {"type": "object", "properties": {"total": {"type": "number"}, "note": {}}, "required": ["total"]}

    answer = preview(
        anna, prompt, template="{{ name }} {{ x }}", input_schema=SCHEMA, response_schema=json.dumps(schema)
    )

    rows = {row.name: (row.need, row.what_changed) for row in answer.context["variables"]}
    assert rows == {
        "name": ("required", ""),
        "x": ("unknown", "new"),
        "limit": ("optional", "new"),
        "old": ("gone", "was required"),
    }
    shown = part(answer, "contract")
    assert "compared with v1.0" in shown
    assert "total: number note: any, may be missing" in shown
    assert "The response schema is not that of v1.0." in shown


def test_preview__step__with_its_reasons_and_the_number(anna: Client, prompt: Prompt) -> None:
    first = preview(anna, prompt, template="Hello")
    make.version(prompt, "2.2")
    major = preview(anna, prompt, template=make.TEXT + " for {{ shop }}")

    assert part(first, "step") == "Publishing this text It would be the first version, v1.0."
    assert "Smallest step from v2.2: major , to v3.0" in part(major, "step")
    assert "major: the required variable shop was added" in part(major, "step")


def test_preview__against_any_version__word_by_word_and_config_by_lines(anna: Client, prompt: Prompt) -> None:
    make.version(prompt, "2.1", template="Read the order", config={"model": "a"})
    make.version(prompt, "2.2", template="Read every order", config={"model": "b"})

    newest = preview(anna, prompt, template="Read each order", config='{"model": "b"}')
    older = preview(anna, prompt, template="Read each order", config='{"model": "b"}', against="2.1")
    unknown = preview(anna, prompt, template="Read each order", config='{"model": "b"}', against="9.9")

    assert "Read <del>every</del><ins>each</ins> order" in newest.content.decode()
    assert "Config and schemas" not in newest.content.decode()
    assert "Read <del>the</del><ins>each</ins> order" in older.content.decode()
    assert "<ins>+    &quot;model&quot;: &quot;b&quot;,</ins>" not in older.content.decode()
    assert "<ins>+    &quot;model&quot;: &quot;b&quot;</ins>" in older.content.decode()
    assert part(unknown, "difference") == part(newest, "difference")


def test_preview__draft_saved_meanwhile__said_before_anything_is_lost(anna: Client, prompt: Prompt) -> None:
    make.draft(prompt)

    stale = preview(anna, prompt, template="Mine")
    fresh = preview(anna, prompt, template="Mine", revision="1")

    assert "user:anna has saved revision 1 meanwhile" in part(stale, "overtaken")
    assert part(fresh, "overtaken") == ""


def test_preview__archived_prompt__says_so(anna: Client, prompt: Prompt) -> None:
    services.archive_prompt(prompt=prompt, actor=make.ANNA)

    assert "the prompt was archived" in part(preview(anna, prompt, template="Hello"), "step")


def test_preview__without_the_right__refused(prompt: Prompt) -> None:
    assert preview(someone_who_may("view_prompt"), prompt).status_code == 403


MEGABYTE = 1_000_000
HOSTILE = {
    "script": "<script>alert(1)</script></pre></textarea><img src=x onerror=alert(1)>{{ a }}",
    "a megabyte": "word " * (MEGABYTE // 5),
    "a megabyte of other words": " ".join(map(str, range(150_000))),
    "a megabyte of variables": "{{ a }}" * (MEGABYTE // 7),
    "lone braces": "{{" * 100 + "}}" * 100 + "{ } {{ }} \\{{ {{{ a }}}",
    "unicode": "\u202e\u200b\N{SNOWMAN}\N{PILE OF POO} {{ a }} \x7f\x1b[31m",
    "500 messages": json.dumps([{"role": "user", "content": f"{{{{ a{n} }}}} " + "a b " * 100} for n in range(500)]),
    "messages that are none": json.dumps([None, 1, "x", [], {}, {"role": 1, "content": 2}, {"type": "placeholder"}]),
    "deep": "[" * 100_000,
    "text of many lines": "\n" * 200_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("type_", ["text", "chat"])
def test_preview__hostile_text__answered_soon_and_escaped(anna: Client, prompt: Prompt, kind: str, type_: str) -> None:
    make.version(prompt, template=[{"role": "user", "content": "a b " * 200}] * 300)
    began = monotonic()

    answer = preview(anna, prompt, type=type_, template=HOSTILE[kind], **{"value.a": "<i>" * 1000})

    assert answer.status_code == 200
    assert monotonic() - began < 60  # some seconds on a machine that does nothing else; careless code takes hours
    assert len(answer.content) < 8 * MEGABYTE
    for tag in (b"<script", b"<img", b"<i>"):
        assert tag not in answer.content


def test_draft__button_preview__shown_in_the_page_and_not_saved(anna: Client, prompt: Prompt) -> None:
    answer = send(anna, page(prompt, "draft"), template="Hi {{ name }}", _preview="Preview", **{"value.name": "Ann"})

    assert "Hi Ann" in text_of(answer)
    assert answer.context["form"]["template"].value() == "Hi {{ name }}"
    assert "Hi {{ name }}" in answer.content.decode()
    assert '<textarea id="value-name" name="value.name"' in answer.content.decode()
    assert not Draft.objects.exists()


def test_draft__page__nothing_that_the_security_policy_refuses(anna: Client, prompt: Prompt) -> None:
    make.draft(prompt, "Hi {{ name }}")

    for path in (page(prompt, "draft"), page(prompt, "publish")):
        shown = anna.get(path).content.decode()
        assert not re.search(r"<[^>]+\s(style|on\w+)=", shown)
        assert not re.search(r"<script(?![^>]*\ssrc=)", shown)


@pytest.fixture
def overtaken(anna: Client, prompt: Prompt) -> Any:
    """The answer to saving "mine" where another has just saved "theirs"."""
    path = page(prompt, "draft")
    send(anna, path, template="the beginning", notes="n")
    mine = fields_of(anna, path) | {"template": "mine", "notes": "by me"}
    make.draft(prompt, "theirs", revision=1)
    return anna.post(path, mine)


def again(client: Client, answer: Any, prompt: Prompt, **pressed: str) -> Any:
    """Send the page's form as it stands, by the button that is pressed."""
    fields = {field.name: field.value() or "" for field in answer.context["form"]}
    kept = [text.as_field for text, _ in answer.context["kept"]]
    title = answer.context["title_of_form"]
    return client.post(page(prompt, "draft"), {**fields, "kept": kept, "title": title, **pressed}, follow=True)


def texts(answer: Any) -> tuple[str, list[str]]:
    """The template in the form, and those that are kept beside it."""
    return answer.context["form"]["template"].value(), [text.fields["template"] for text, _ in answer.context["kept"]]


def test_conflict__shows_both_side_by_side_word_by_word(overtaken: Any) -> None:
    shown = overtaken.content.decode()

    assert texts(overtaken) == ("mine", ["theirs"])
    assert "<del>theirs</del>" in shown
    assert "<ins>mine</ins>" in shown
    assert [field.label for field in overtaken.context["kept"][0][1]] == ["Template", "Notes"]


def test_conflict__the_other_taken__mine_is_kept_and_can_be_taken_back(
    anna: Client, prompt: Prompt, overtaken: Any
) -> None:
    took = again(anna, overtaken, prompt, _take="0")
    back = again(anna, took, prompt, _take="0")

    assert texts(took) == ("theirs", ["mine"])
    assert "Your text" in text_of(took)
    assert texts(back) == texts(overtaken)
    assert "Stored by user:anna while you edited, revision 2" in text_of(back)
    assert Draft.objects.get().template == "theirs"


def test_conflict__mine_saved__the_stored_text_stays_on_the_page_and_can_be_put_back(
    anna: Client, prompt: Prompt, overtaken: Any
) -> None:
    saved = again(anna, overtaken, prompt)
    put_back = again(anna, again(anna, saved, prompt, _take="0"), prompt)

    assert "Saved revision 3 of the draft." in text_of(saved)
    assert texts(saved) == ("mine", ["theirs"])
    assert "Saved revision 4 of the draft." in text_of(put_back)
    assert Draft.objects.get().template == "theirs"


def test_conflict__overtaken_again__no_text_is_lost(anna: Client, prompt: Prompt, overtaken: Any) -> None:
    took = again(anna, overtaken, prompt, _take="0")
    make.draft(prompt, "another's", revision=2)

    answer = again(anna, took, prompt)

    assert texts(answer) == ("theirs", ["another's", "mine"])
    assert Draft.objects.get().template == "another's"


def test_conflict__of_chat__message_by_message(anna: Client, prompt: Prompt) -> None:
    path = page(prompt, "draft")
    fields = fields_of(anna, path) | {"type": "chat", "template": '[{"role": "user", "content": "Hi Ann"}]'}
    make.draft(prompt, [{"role": "user", "content": "Hi Ben"}])  # type: ignore[arg-type]

    shown = anna.post(path, fields).content.decode()

    assert "Hi <del>Ben</del>" in shown
    assert "Hi <ins>Ann</ins>" in shown


@pytest.mark.parametrize("kept", ["{", "[]", '{"title": "x", "fields": {}}', '{"title": 1}', "[" * 100_000, "null"])
def test_conflict__kept_text_that_is_none__ignored(anna: Client, prompt: Prompt, kept: str) -> None:
    answer = send(anna, page(prompt, "draft"), template="Hi", _take="0", kept=kept)

    assert texts(answer) == ("Hi", [])


def test_conflict__kept_text_of_somebody_hostile__escaped(anna: Client, prompt: Prompt, overtaken: Any) -> None:
    text = json.loads(overtaken.context["kept"][0][0].as_field)
    text["title"] = text["fields"]["template"] = text["fields"]["type"] = '"><script>alert(1)</script>'

    answer = send(anna, page(prompt, "draft"), kept=json.dumps(text), _preview="1")

    assert b"<script>alert" not in answer.content
    assert "<script>alert(1)</script>" in text_of(answer)


def test_publish__against_an_older_version__compared_with_that(anna: Client, prompt: Prompt) -> None:
    make.version(prompt, "2.1", template="Read the order")
    make.version(prompt, "2.2", template="Read every order")
    make.draft(prompt, "Read each order")

    shown = anna.get(page(prompt, "publish"), {"against": "v2.1"}).content.decode()

    assert "Read <del>the</del><ins>each</ins> order" in shown
    assert '<option value="v2.1" selected>' in shown


@pytest.mark.parametrize("name", ["draft", "publish"])
def test_pages__of_a_prompt_with_many_versions__bounded_queries(
    anna: Client, prompt: Prompt, name: str, django_assert_max_num_queries: Any
) -> None:
    for number in range(1, 12):
        make.version(prompt, template=f"Text {number}")
    make.draft(prompt)

    with django_assert_max_num_queries(16):
        assert anna.get(page(prompt, name)).status_code == 200

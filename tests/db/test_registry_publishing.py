from typing import Any

import pytest

from common.errors import Conflict, Gone, Invalid, NotFound
from registry import selectors, services
from registry.models import Event, PromptVersion, Sequence
from tests import make

pytestmark = pytest.mark.django_db

ADDED = make.TEXT + " for {{ shop }}"


def publish(**fields: Any) -> services.Published:
    content = make.content(fields.pop("template", make.TEXT), **fields.pop("more", {}))
    return services.publish_version(
        **{"prompt_name": "order-extractor", "content": content, "notes": "clearer", "actor": make.ANNA} | fields
    )


def test_publish__first_version__is_1_0_with_ordinal_1() -> None:
    make.prompt()

    published = publish(more={"config": {"model": "gpt-4o-mini"}})

    version = PromptVersion.objects.get()
    assert published.version == version
    assert (version.ref, version.ordinal, published.bump, published.changes) == ("order-extractor@v1.0", 1, None, ())
    assert (version.template, version.config, version.notes) == (make.TEXT, {"model": "gpt-4o-mini"}, "clearer")
    assert version.published_by == "user:anna"
    assert version.sha256 == make.content(config={"model": "gpt-4o-mini"}).sha256


@pytest.mark.parametrize(
    ("template", "number", "bump"),
    [
        (make.TEXT, "v1.0.1", "patch"),
        (make.TEXT + "\n", "v1.0.1", "patch"),
        (make.TEXT + " Be exact.", "v1.1", "minor"),
        (ADDED, "v2.0", "major"),
    ],
)
def test_publish__nothing_said__takes_the_smallest_bump(template: str, number: str, bump: str) -> None:
    make.version(make.prompt(), "1.0")

    published = publish(template=template)

    assert (published.version.number, published.bump, published.version.ordinal) == (number, bump, 2)


def test_publish__larger_bump__allowed() -> None:
    make.version(make.prompt(), "1.0")

    assert publish(bump="major").version.number == "v2.0"


@pytest.mark.parametrize("said", [{"bump": "minor"}, {"version": "1.1"}])
def test_publish__too_small_a_bump__refused_with_the_reasons(said: Any) -> None:
    make.version(make.prompt(), "1.0")

    with pytest.raises(Invalid) as refused:
        publish(template=ADDED, **said)

    error = refused.value
    assert error.code == "bump_too_small"
    assert [(e.field, e.code, e.message) for e in error.errors] == [
        (next(iter(said)), "variable_added", "the required variable shop was added")
    ]
    assert (error.extra["base"], error.extra["smallest_bump"]) == ("v1.0", "major")
    assert [change["code"] for change in error.extra["contract_changes"]] == ["variable_added", "template_changed"]
    assert PromptVersion.objects.count() == 1


def test_publish__exact_version__is_compared_with_the_highest_below_it() -> None:
    prompt = make.prompt()
    make.version(prompt, "1.0")
    make.version(prompt, "2.0", template=ADDED)

    backport = publish(template=make.TEXT + "\n", version="1.0.1")

    assert (backport.version.number, backport.bump, backport.version.ordinal) == ("v1.0.1", "patch", 3)


def test_publish__version_below_all_others__has_nothing_to_be_compared_with() -> None:
    make.version(make.prompt(), "1.0")

    assert publish(template=ADDED, version="0.9").bump is None


def test_publish__version_exists__conflict() -> None:
    make.version(make.prompt(), "1.0")

    with pytest.raises(Conflict) as refused:
        publish(version="v1.0.0")

    assert refused.value.code == "version_exists"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"bump": "minor", "version": "2.0"}, "version"),
        ({"bump": "huge"}, "bump"),
        ({"version": "2"}, "version"),
        ({"version": "two"}, "version"),
        ({"notes": " \n"}, "notes"),
        ({"template": "As {{"}, "template"),
        ({"more": {"config": []}}, "config"),
    ],
)
def test_publish__wrong_input__names_the_field_and_publishes_nothing(fields: Any, field: str) -> None:
    make.version(make.prompt(), "1.0")

    with pytest.raises(Invalid) as refused:
        publish(**fields)

    assert [error.field for error in refused.value.errors] == [field]
    assert PromptVersion.objects.count() == 1


def test_publish__unknown_or_archived_prompt__says_which() -> None:
    with pytest.raises(NotFound) as unknown:
        publish()
    services.archive_prompt(prompt=make.prompt(), actor=make.ANNA)
    with pytest.raises(Gone) as archived:
        publish()

    assert (unknown.value.code, archived.value.code) == ("unknown_prompt", "prompt_archived")


def test_publish__latest_follows__recorded_like_every_move() -> None:
    prompt = make.prompt()
    first = make.version(prompt)
    second = make.version(prompt)

    latest = prompt.labels.get(name="latest")
    assert latest.version == second
    assert [(move.from_version, move.to_version, move.actor) for move in latest.moves.all()] == [
        (first, second, "user:anna"),
        (None, first, "user:anna"),
    ]


def test_publish__tells_the_outside_and_the_read_path() -> None:
    prompt = make.prompt()
    before = prompt.generation

    published = publish(notes="  clearer  ")

    event = Event.objects.get()
    assert (event.type, event.prompt, event.sequence) == ("version.published", "order-extractor", 1)
    assert event.data == {
        "version": "v1.0",
        "ordinal": 1,
        "ref": "order-extractor@v1.0",
        "sha256": published.version.sha256,
        "bump": None,
        "contract_changes": [],
        "notes": "clearer",
        "author": "user:anna",
    }
    prompt.refresh_from_db()
    assert prompt.generation == Sequence.objects.get(name="generation").value > before


def test_publish__content_comes_back_as_it_was_hashed() -> None:
    # What a database could change: numbers such as 1e22 and 1.0, key order, and characters beyond ASCII.
    config = {"b": 1e22, "a": 1.0, "c": 1e-7, "é": "\u2028", "nested": {"aa": [0.1, -0.0], "b": None}}
    version = make.version(make.prompt(), template="Grüße 🐦\r\n{{ order_text }}", config=config)

    stored = PromptVersion.objects.get(pk=version.pk)

    assert selectors.content_of(stored).sha256 == stored.sha256
    assert selectors.content_of(stored) == selectors.content_of(version)
    assert stored.template == "Grüße 🐦\n{{ order_text }}"


def test_propose__tells_base_changes_and_smallest_bump() -> None:
    prompt = make.prompt()
    base = make.version(prompt)

    proposal = selectors.propose(prompt, make.content(ADDED))

    assert (proposal.base, proposal.smallest) == (base, "major")
    assert [change.code for change in proposal.changes] == ["variable_added", "template_changed"]


@pytest.mark.parametrize("written", ["1.1", "v1.1", "1.1.0", "2", "v2"])
def test_find_version__by_number_or_ordinal(written: str) -> None:
    prompt = make.prompt()
    make.version(prompt, "1.0")
    version = make.version(prompt, "1.1", template="Be exact.  {{ order_text }}")

    assert selectors.find_version(prompt, written) == version


@pytest.mark.parametrize("written", ["1.2", "1.0.1", "3", "0", "latest", "", "\0"])
def test_find_version__unknown__not_found(written: str) -> None:
    prompt = make.prompt()
    make.version(prompt, "1.0")

    with pytest.raises(NotFound) as refused:
        selectors.find_version(prompt, written)

    assert refused.value.code == "unknown_version"

"""Prompts from files: what is not here yet is published, what is here stays, and a file comes in whole or not."""

import json
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import Conflict, Gone, Invalid
from registry import services
from registry.core.content import Content
from registry.core.problems import ProblemsFound
from registry.core.prompt_file import FORMAT, read_prompt_file
from registry.core.validation import publishable
from registry.core.versions import Bump
from registry.file_formats import parse_yaml, written
from registry.models import Event, LabelMove, Prompt, PromptVersion
from registry.representation import exported_json
from registry.services import Imported
from registry.services.imports import LabelOutcome
from tests import make
from tests.parallel import at_once

pytestmark = pytest.mark.django_db

GIVEN_BY_AN_IMPORT = {"author", "published_at"}


def bring_in(data: dict[str, Any], **how: Any) -> Imported:
    return services.import_prompt(file=read_prompt_file(data), actor=make.ANNA, **how)


def version(number: str, template: str = make.TEXT, **fields: Any) -> dict[str, Any]:
    return {"version": number, "type": "text", "template": template, "notes": "as discussed"} | fields


def file(*versions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"format": FORMAT, "name": "order-extractor", "versions": list(versions)} | fields


def outcomes(imported: Imported) -> list[tuple[str, int, bool]]:
    return [(version.number, version.ordinal, version.is_new) for version in imported.versions]


def told() -> list[str]:
    return list(Event.objects.order_by("sequence").values_list("type", flat=True))


def test_import__into_an_empty_registry__numbers_ordinals_and_one_event_a_version() -> None:
    imported = bring_in(
        file(version("2.3"), version("1.0"), version("2.4", "New {{ order_text }}"), description="Reads", tags=["a"])
    )

    assert outcomes(imported) == [("v2.3", 1, True), ("v1.0", 2, True), ("v2.4", 3, True)]
    assert (imported.is_new, imported.has_changed, imported.differs) == (True, True, ())
    assert told() == ["version.published"] * 3
    stored = PromptVersion.objects.get(ordinal=3)
    assert (stored.published_by, stored.notes, stored.prompt.tags) == ("user:anna", "as discussed", ["a"])


def test_import__again__changes_nothing_and_says_so() -> None:
    data = file(version("2.3"), version("2.4", "New {{ order_text }}"), labels={"production": "2.3"})
    bring_in(data, move_labels=True)
    before = told()

    again = bring_in(data, move_labels=True)

    assert outcomes(again) == [("v2.3", 1, False), ("v2.4", 2, False)]
    assert (again.has_changed, again.labels) == (False, {"production": LabelOutcome.UNCHANGED})
    assert told() == before


def test_import__some_versions_are_here__the_others_get_the_next_ordinals() -> None:
    make.version(make.prompt(), "3.0", template="Only here {{ order_text }}")

    imported = bring_in(file(version("2.3"), version("2.4", "New {{ order_text }}")))

    assert outcomes(imported) == [("v2.3", 2, True), ("v2.4", 3, True)]
    assert (imported.is_new, imported.has_changed) == (False, True)


def test_import__a_number_that_has_another_text_here__conflict_names_each_and_nothing_is_published() -> None:
    prompt = make.prompt()
    make.version(prompt, "2.3", template="Another {{ order_text }}")
    make.version(prompt, "2.4", template="Yet another {{ order_text }}")

    with pytest.raises(Conflict, match="has another content here") as refused:
        bring_in(file(version("1.0"), version("2.3"), version("2.4")))

    assert refused.value.code == "version_differs"
    assert [error.field for error in refused.value.errors] == ["versions[1]", "versions[2]"]
    assert PromptVersion.objects.count() == 2


@pytest.mark.parametrize(
    ("wrong", "field", "code"),
    [
        (version("2.4", "As {{"), "versions[1].template", "invalid"),
        (version("2.4", notes=" "), "versions[1].notes", "invalid"),
        (version("2.4", "No variable"), "versions[1].version", "bump_too_small"),
        (version("2.4", config=[]), "versions[1].config", "invalid"),
        (version("2.4", response_schema={"type": "nonsense"}), "versions[1].response_schema.type", "invalid"),
    ],
)
def test_import__a_version_that_cannot_be_published__its_path_and_nothing_is_left(
    wrong: dict[str, Any], field: str, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        bring_in(file(version("2.3"), wrong))

    assert (refused.value.code, refused.value.errors[0].field) == (code, field)
    assert not Prompt.objects.exists()
    assert not told()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "Order Extractor"}, "name"),
        ({"labels": {"UPPER": "2.3"}}, "labels.UPPER"),
        ({"labels": {"latest": "2.3"}}, "labels.latest"),
    ],
)
def test_import__a_name_that_is_none__refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        bring_in(file(version("2.3"), **fields))

    assert refused.value.errors[0].field == field
    assert not Prompt.objects.exists()


def test_import__archived_prompt__refused() -> None:
    services.archive_prompt(prompt=make.prompt(), actor=make.ANNA)

    with pytest.raises(Gone):
        bring_in(file(version("2.3")))


def test_import__description_and_tags_are_otherwise_here__left_and_told() -> None:
    services.create_prompt(name="order-extractor", description="Mine", tags=["mine"], actor=make.ANNA)

    imported = bring_in(file(description="Yours", tags=["yours"]))

    prompt = Prompt.objects.get()
    assert (prompt.description, prompt.tags) == ("Mine", ["mine"])
    assert (imported.differs, imported.has_changed) == (("description", "tags"), False)


# Labels


def test_import__labels__left_unless_they_are_to_be_moved() -> None:
    make.label(make.version(make.prompt(), "2.2", template="Old {{ order_text }}"))
    data = file(version("2.3"), labels={"production": "2.3", "staging": "2.3"})

    left = bring_in(data)
    moves_then = LabelMove.objects.exclude(label__name="latest").count()
    moved = bring_in(data, move_labels=True)

    assert left.labels == {"production": LabelOutcome.LEFT, "staging": LabelOutcome.LEFT}
    assert moves_then == 1
    assert moved.labels == {"production": LabelOutcome.MOVED, "staging": LabelOutcome.MOVED}
    assert moved.has_changed
    assert told()[-2:] == ["label.moved", "label.moved"]
    assert LabelMove.objects.filter(label__name="production").first().reason == "imported from a file"  # type: ignore[union-attr]


def test_import__a_label_that_a_rollout_holds__refused_whole() -> None:
    held = make.label(make.version(make.prompt(), "2.2", template="Old {{ order_text }}"))
    services.hold_label(label_id=held.pk, rollout_id="rol_1")

    with pytest.raises(Conflict) as refused:
        bring_in(file(version("2.3"), labels={"production": "2.3"}), move_labels=True)

    assert refused.value.code == "rollout_active"
    assert PromptVersion.objects.count() == 1


# Trying it out


def test_import__dry_run__says_all_and_leaves_nothing() -> None:
    data = file(version("2.3"), version("2.4", "New {{ order_text }}"), labels={"production": "2.3"})

    tried = bring_in(data, move_labels=True, dry_run=True)

    assert not Prompt.objects.exists()
    assert not told()
    assert tried == bring_in(data, move_labels=True)


# Out and in again

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(-1e9, 1e9)
    | st.text("ab\n\r\t :#\"'é\U0001f424"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab. é", max_size=3), inner, max_size=3),
    max_leaves=6,
)
LINES = st.text("ab \n\r\t:#-|>\"'é\U0001f424{}\u2028", min_size=1, max_size=40)
CHAT = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": LINES}), min_size=1)
SCHEMAS = st.none() | st.just({"type": "object", "properties": {"a": {"type": "number", "minimum": 0.5}}})


def can_be_published(content: Content) -> bool:
    try:
        publishable(content)
    except ProblemsFound:
        return False
    return True


CONTENTS = st.builds(
    make.content, LINES | CHAT, config=st.dictionaries(st.text("ab", max_size=3), JSON), response_schema=SCHEMAS
).filter(can_be_published)
HOW = st.sampled_from(Bump) | st.none()


@settings(max_examples=20)
@given(
    notation=st.sampled_from(["json", "yaml"]),
    published=st.lists(st.tuples(CONTENTS, HOW), min_size=1, max_size=3),
    description=LINES,
)
def test_export_and_import__whatever_was_published__the_same_in_another_registry(
    notation: str, published: list[tuple[Content, Bump | None]], description: str
) -> None:
    with transaction.atomic():
        prompt = services.create_prompt(name="original", description=description, tags=["a", "é"], actor=make.ANNA)
        for content, bump in published:
            publish(prompt, content, bump)
        make.label(prompt.versions.get(ordinal=1))
        exported = exported_json(prompt)

        read = parse(written(exported, notation), notation) | {"name": "copy"}
        imported = bring_in(read, move_labels=True)
        again = bring_in(read, move_labels=True)

        assert without_its_own(exported_json(Prompt.objects.get(name="copy"))) == without_its_own(exported)
        assert (imported.has_changed, again.has_changed) == (True, False)
        transaction.set_rollback(True)


def publish(prompt: Prompt, content: Content, bump: Bump | None) -> None:
    try:
        services.publish_version(prompt_name=prompt.name, content=content, notes="é", bump=bump, actor=make.ANNA)
    except Invalid:  # a larger step is needed
        services.publish_version(prompt_name=prompt.name, content=content, notes="é", actor=make.ANNA)


def parse(text: str, notation: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(text) if notation == "json" else parse_yaml(text.encode())
    return read


def without_its_own(exported: dict[str, Any]) -> dict[str, Any]:
    """Less what each registry says by itself."""
    versions = [
        {name: value for name, value in version.items() if name not in GIVEN_BY_AN_IMPORT}
        for version in exported["versions"]
    ]
    return exported | {"name": "", "versions": versions}


# At once


@pytest.mark.django_db(transaction=True)
def test_import__many_at_once__each_version_once() -> None:
    data = file(version("2.3"), version("2.4", "New {{ order_text }}"), labels={"production": "2.4"})

    results = at_once(*[lambda: bring_in(data, move_labels=True)] * 6)

    assert sum(result.has_changed for result in results) == 1
    assert told() == ["version.published", "version.published", "label.moved"]


@pytest.mark.django_db(transaction=True)
def test_import__beside_moves_of_the_label_and_publications__none_waits_in_a_ring() -> None:
    make.label(make.version(make.prompt(), "1.0"))
    make.version(Prompt.objects.get(), "1.1", template="Other {{ order_text }}")

    def move(to: str) -> Any:
        return services.move_label(
            prompt_name="order-extractor", label="production", version=to, reason="race", actor=make.ANNA
        )

    def publish_another() -> Any:
        return services.publish_version(
            prompt_name="order-extractor", content=make.content("x"), notes="race", bump="major", actor=make.ANNA
        )

    for number in range(3):
        data = file(version(f"9.{number}", f"Text {number} {{{{ order_text }}}}"), labels={"production": f"9.{number}"})
        results = at_once(
            lambda data=data: bring_in(data, move_labels=True),
            lambda: move("1.0"),
            lambda: move("1.1"),
            publish_another,
        )
        assert not [result for result in results if isinstance(result, Conflict)]

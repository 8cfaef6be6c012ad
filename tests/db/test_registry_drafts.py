from typing import Any

import pytest

from common.actors import Actor
from common.errors import Conflict, Invalid, NotFound
from registry import services
from registry.models import Draft, Prompt
from tests import make

pytestmark = pytest.mark.django_db

BEN = Actor("user", "ben")


@pytest.fixture
def prompt() -> Prompt:
    return make.prompt()


def save(prompt: Prompt, template: Any, revision: int | None, actor: Actor = make.ANNA, **fields: Any) -> Draft:
    return services.save_draft(
        prompt=prompt,
        content=make.content(template, **fields),
        notes="clearer",
        expected_revision=revision,
        actor=actor,
    )


def test_save__revision_goes_up_with_every_save(prompt: Prompt) -> None:
    first = save(prompt, "Hello", None)
    second = save(prompt, [{"role": "user", "content": "Hello"}], 1, BEN, config={"model": "m"})

    draft = Draft.objects.get()
    assert (first.revision, second.revision, draft.revision) == (1, 2, 2)
    assert (draft.type, draft.template, draft.config) == ("chat", second.template, {"model": "m"})
    assert (draft.notes, draft.updated_by) == ("clearer", "user:ben")


def test_save__unfinished_text__is_kept(prompt: Prompt) -> None:
    assert save(prompt, "As {{", None).template == "As {{"


def test_save__what_no_database_can_hold__refused(prompt: Prompt) -> None:
    with pytest.raises(Invalid) as refused:
        save(prompt, "Hello\0", None)

    assert [error.field for error in refused.value.errors] == ["template"]


@pytest.mark.parametrize("revision", [None, 1, 3])
def test_save__stale_revision__conflict_with_both_texts(prompt: Prompt, revision: int | None) -> None:
    save(prompt, "Hello", None)
    save(prompt, "Hello from Ben", 1, BEN)

    with pytest.raises(Conflict) as refused:
        save(prompt, "Hello from Anna", revision)

    extra = refused.value.extra
    assert refused.value.code == "stale_draft"
    assert (extra["yours"]["template"], extra["yours"]["notes"]) == ("Hello from Anna", "clearer")
    assert (extra["stored"]["template"], extra["stored"]["revision"]) == ("Hello from Ben", 2)
    assert extra["stored"]["updated_by"] == "user:ben"
    assert Draft.objects.get().template == "Hello from Ben"


def test_save__revision_of_a_draft_that_is_not_there__conflict(prompt: Prompt) -> None:
    with pytest.raises(Conflict) as refused:
        save(prompt, "Hello", 3)

    assert refused.value.extra["stored"] is None


def test_publish_draft__becomes_the_next_version_and_stays_without_its_notes(prompt: Prompt) -> None:
    make.version(prompt, "1.0")
    draft = save(prompt, make.TEXT + " Be exact.", None)

    published = services.publish_draft(prompt=prompt, expected_revision=draft.revision, actor=BEN)

    version = published.version
    assert (version.number, version.notes, version.published_by) == ("v1.1", "clearer", "user:ben")
    draft.refresh_from_db()
    assert (draft.template, draft.notes, draft.revision) == (version.template, "", 2)


def test_publish_draft__changed_since_it_was_read__conflict(prompt: Prompt) -> None:
    save(prompt, "Hello", None)
    save(prompt, "Hello from Ben", 1, BEN)

    with pytest.raises(Conflict) as refused:
        services.publish_draft(prompt=prompt, expected_revision=1, actor=make.ANNA)

    assert refused.value.extra["stored"]["template"] == "Hello from Ben"
    assert not prompt.versions.exists()


def test_publish_draft__none_there__not_found(prompt: Prompt) -> None:
    with pytest.raises(NotFound) as refused:
        services.publish_draft(prompt=prompt, expected_revision=1, actor=make.ANNA)

    assert refused.value.code == "no_draft"


def test_publish_draft__refused__leaves_draft_and_revision(prompt: Prompt) -> None:
    save(prompt, "As {{", None)

    with pytest.raises(Invalid):
        services.publish_draft(prompt=prompt, expected_revision=1, actor=make.ANNA)

    draft = Draft.objects.get()
    assert (draft.template, draft.notes, draft.revision) == ("As {{", "clearer", 1)

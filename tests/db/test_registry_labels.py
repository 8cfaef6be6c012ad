from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from common.errors import Conflict, Gone, Invalid, NotFound
from registry import selectors, services
from registry.models import Event, Label, LabelMove, Prompt, PromptVersion
from tests import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def prompt() -> Prompt:
    prompt = make.prompt()
    make.version(prompt, "1.0")
    make.version(prompt, "1.1")
    return prompt


def version(prompt: Prompt, number: str) -> PromptVersion:
    return selectors.find_version(prompt, number)


def move(**fields: Any) -> Label:
    usual = {"prompt_name": "order-extractor", "label": "production", "version": "1.0", "reason": "it is ready"}
    return services.move_label(**usual | fields, actor=make.ANNA)


def test_move__new_label__is_made_and_recorded(prompt: Prompt) -> None:
    label = move(label="staging", version="2", reason=" try it ")

    recorded = label.moves.get()
    assert (label.name, label.version.number) == ("staging", "v1.1")
    assert (recorded.from_version, recorded.to_version) == (None, version(prompt, "1.1"))
    assert (recorded.reason, recorded.actor) == ("try it", "user:anna")


def test_move__there_and_back__every_move_is_kept_and_told(prompt: Prompt) -> None:
    move(version="1.0")
    move(version="1.1")
    label = move(version="1.0", reason="1.1 forgets the customer")

    assert [recorded.to_version.number for recorded in selectors.moves(label)] == ["v1.0", "v1.1", "v1.0"]
    told = Event.objects.filter(type="label.moved").first()
    assert told is not None
    assert told.data == {
        "label": "production",
        "from": "v1.1",
        "to": "v1.0",
        "reason": "1.1 forgets the customer",
        "actor": "user:anna",
    }


def test_move__reaches_the_read_path(prompt: Prompt) -> None:
    prompt.refresh_from_db()

    move()

    assert Prompt.objects.get().generation > prompt.generation


def test_move__where_it_points_already__changes_and_tells_nothing(prompt: Prompt) -> None:
    move()
    events, generation = Event.objects.count(), Prompt.objects.get().generation

    label = move(reason="again")

    assert label.version.number == "v1.0"
    assert label.moves.count() == 1
    assert (Event.objects.count(), Prompt.objects.get().generation) == (events, generation)


@pytest.mark.parametrize(
    ("fields", "error", "code"),
    [
        ({"prompt_name": "other"}, NotFound, "unknown_prompt"),
        ({"version": "1.2"}, NotFound, "unknown_version"),
        ({"reason": "  "}, Invalid, "invalid"),
        ({"label": "Production"}, Invalid, "invalid"),
        ({"label": "latest"}, Invalid, "invalid"),
    ],
)
def test_move__refused__says_why_and_moves_nothing(prompt: Prompt, fields: Any, error: Any, code: str) -> None:
    moves = LabelMove.objects.count()

    with pytest.raises(error) as refused:
        move(**fields)

    assert refused.value.code == code
    assert LabelMove.objects.count() == moves


def test_move__held_label__conflict_that_names_the_rollout(prompt: Prompt) -> None:
    label = move()
    services.hold_label(label_id=label.pk, rollout_id="rol_1")

    with pytest.raises(Conflict) as refused:
        move(version="1.1")

    assert (refused.value.code, refused.value.extra) == ("rollout_active", {"rollout": "rol_1"})


def test_hold__a_second_rollout__conflict_but_the_same_may_ask_again(prompt: Prompt) -> None:
    label = move()
    services.hold_label(label_id=label.pk, rollout_id="rol_1")
    services.hold_label(label_id=label.pk, rollout_id="rol_1")

    with pytest.raises(Conflict) as refused:
        services.hold_label(label_id=label.pk, rollout_id="rol_2")

    assert refused.value.extra == {"rollout": "rol_1"}


def test_hold__latest__refused_because_it_moves_by_itself(prompt: Prompt) -> None:
    with pytest.raises(Invalid, match="latest moves by itself"):
        services.hold_label(label_id=prompt.labels.get(name="latest").pk, rollout_id="rol_1")


def test_release__label_moves_by_hand_again(prompt: Prompt) -> None:
    label = move()
    services.hold_label(label_id=label.pk, rollout_id="rol_1")

    services.release_label(label_id=label.pk)

    assert move(version="1.1").version.number == "v1.1"


def test_promote__moves_the_held_label_and_leaves_telling_to_the_rollout(prompt: Prompt) -> None:
    label = move()
    services.hold_label(label_id=label.pk, rollout_id="rol_1")
    events = Event.objects.count()

    for _ in range(2):
        services.promote_label(
            label_id=label.pk, version=version(prompt, "1.1"), reason="rollout rol_1", actor=make.ANNA
        )

    label.refresh_from_db()
    assert (label.version.number, label.held_by) == ("v1.1", "rol_1")
    assert [recorded.reason for recorded in label.moves.all()] == ["rollout rol_1", "it is ready"]
    assert Event.objects.count() == events


def test_moves__at_a_moment__the_one_in_force_then(prompt: Prompt) -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    for minutes, number in ((0, "1.0"), (5, "1.1"), (10, "1.0")):
        with time_machine.travel(noon + timedelta(minutes=minutes), tick=False):
            label = move(version=number)

    in_force = {
        minutes: [
            recorded.to_version.number for recorded in selectors.moves(label, at=noon + timedelta(minutes=minutes))
        ]
        for minutes in (-1, 0, 4, 5, 60)
    }
    assert in_force == {-1: [], 0: ["v1.0"], 4: ["v1.0"], 5: ["v1.1"], 60: ["v1.0"]}


def test_archive__serves_no_more_until_unarchived(prompt: Prompt) -> None:
    services.archive_prompt(prompt=prompt, actor=make.ANNA)

    with pytest.raises(Gone):
        selectors.find_prompt("order-extractor")
    assert not selectors.prompts().exists()
    services.unarchive_prompt(prompt=prompt, actor=make.ANNA)
    assert selectors.find_prompt("order-extractor") == prompt


def test_archive__while_a_rollout_is_active__conflict(prompt: Prompt) -> None:
    services.hold_label(label_id=move().pk, rollout_id="rol_1")

    with pytest.raises(Conflict) as refused:
        services.archive_prompt(prompt=prompt, actor=make.ANNA)

    assert refused.value.extra == {"rollout": "rol_1"}


@pytest.mark.parametrize("name", ["Production", "other", "\0", ""])
def test_find_label__unknown__not_found(prompt: Prompt, name: str) -> None:
    with pytest.raises(NotFound) as refused:
        selectors.find_label(prompt, name)

    assert refused.value.code == "unknown_label"

"""What a refresh brings into memory, and that nothing is read from the database on the path."""

from typing import Any, NoReturn

import pytest
from django.db import OperationalError, connection
from pytest_django import DjangoAssertNumQueries

from common.errors import NotFound
from registry.models import ApiKey, Prompt, Sequence
from registry.selectors import find_version
from registry.services import archive_prompt, revoke_key
from rollout.serving import documents, pinned, snapshot_cache
from rollout.serving.snapshot import load_pinned
from tests import make
from tests.served import (
    CANARY_AT_5_PERCENT,
    CONTROL_AT_5_PERCENT,
    Reader,
    change,
    end,
    make_prompt,
    make_rollout,
    make_version,
    point,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def prompt() -> Prompt:
    return make_prompt()


@pytest.fixture
def app(prompt: Prompt) -> Reader:
    return Reader()


def refresh() -> None:
    snapshot_cache.cache.refresh()


# Nothing is asked of the database on the path


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("label=staging", 200),
        (f"unit={CANARY_AT_5_PERCENT}", 200),
        (f"unit={CONTROL_AT_5_PERCENT}", 200),
        ("", 200),
        ("version=2.2", 200),
        ("version=2.4", 200),
        ("version=9.9", 404),
        ("label=nothing", 404),
    ],
)
def test_warm__no_sql(
    prompt: Prompt, app: Reader, django_assert_num_queries: DjangoAssertNumQueries, query: str, status: int
) -> None:
    for number in ("2.4", "2.5"):
        make_version(prompt, number)
    point(prompt, "staging", "2.3")
    make_rollout(prompt)
    refresh()
    app.status(query)

    with django_assert_num_queries(0):
        assert app.status(query) == status


def test_warm__unknown_key_or_prompt__no_sql(app: Reader, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    refresh()

    with django_assert_num_queries(0):
        assert Reader("ser_unknown").status() == 401
        assert app.status(name="nothing") == 404


def test_refresh__nothing_changed__one_query_and_the_same_state(
    app: Reader, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    refresh()
    before, _ = snapshot_cache.cache.current()

    with django_assert_num_queries(1):
        refresh()

    assert snapshot_cache.cache.current()[0] is before


def test_refresh__one_prompt_changed__the_others_are_not_read_again(prompt: Prompt, app: Reader) -> None:
    for number in range(3):
        make_prompt(f"other-{number}")
    refresh()
    before = snapshot_cache.cache.current()[0].prompts

    point(prompt, "production", "2.3")
    refresh()

    after = snapshot_cache.cache.current()[0].prompts
    assert {name for name in after if after[name] is not before[name]} == {"order-extractor"}


def test_refresh__behind_a_pooler_of_transactions__needs_no_cursor_that_outlives_a_statement(
    app: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost() -> NoReturn:
        raise OperationalError('cursor "_django_curs_1" does not exist')

    monkeypatch.setattr(connection, "chunked_cursor", lost)

    refresh()

    assert app.status() == 200


# One refresh brings a change


def test_refresh__label_moved__served(prompt: Prompt, app: Reader) -> None:
    refresh()
    assert app.served() == ("v2.2", "label")

    point(prompt, "production", "2.3")
    refresh()

    assert app.served() == ("v2.3", "label")


def test_refresh__rollout_from_start_to_rollback__served(prompt: Prompt, app: Reader) -> None:
    in_next_step = f"unit={CONTROL_AT_5_PERCENT}"
    refresh()

    rollout = make_rollout(prompt, weight_bp=500)
    refresh()
    assert app.served(f"unit={CANARY_AT_5_PERCENT}") == ("v2.3", "canary")
    assert app.served(in_next_step) == ("v2.2", "control")

    change(rollout, step=1, weight_bp=2500)
    refresh()
    assert app.served(in_next_step) == ("v2.3", "canary")
    assert app.body(in_next_step)["rollout"] == {
        "id": rollout.pk,
        "arm": "canary",
        "step": 1,
        "weight": 0.25,
        "weight_bp": 2500,
    }

    end(rollout)
    refresh()
    assert app.served(in_next_step) == ("v2.2", "label")
    assert app.body(in_next_step)["rollout"] is None


def test_refresh__paused_rollout__goes_on_splitting(prompt: Prompt, app: Reader) -> None:
    rollout = make_rollout(prompt)
    change(rollout, status="paused")
    refresh()

    assert app.served(f"unit={CANARY_AT_5_PERCENT}") == ("v2.3", "canary")


def test_refresh__rollout_of_another_label__production_is_not_split(prompt: Prompt, app: Reader) -> None:
    point(prompt, "staging", "2.2")
    make_rollout(prompt, label="staging", weight_bp=10_000)
    refresh()

    assert app.served("unit=anyone") == ("v2.2", "label")
    assert app.served("unit=anyone&label=staging") == ("v2.3", "canary")


@pytest.mark.parametrize(("weight_bp", "reason"), [(0, "control"), (10_000, "canary")])
def test_refresh__no_and_full_weight__exact(prompt: Prompt, app: Reader, weight_bp: int, reason: str) -> None:
    make_rollout(prompt, weight_bp=weight_bp)
    refresh()

    assert {app.body(f"unit=user-{i}")["reason"] for i in range(500)} == {reason}


def test_refresh__version_published__can_be_pinned(prompt: Prompt, app: Reader) -> None:
    refresh()
    assert app.status("version=2.4") == 404

    make_version(prompt, "2.4")
    refresh()

    found = app.body("version=2.4")
    assert (found["template"], found["reason"], found["ordinal"]) == ("Extract {{ order }}, 2.4", "pinned", 3)
    assert found == app.body("version=3")


def test_refresh__prompt_archived__gone(prompt: Prompt, app: Reader) -> None:
    refresh()

    archive_prompt(prompt=prompt, actor=make.ANNA)
    refresh()

    assert app.status() == 410


def test_refresh__key_issued_and_revoked__known_and_unknown(app: Reader) -> None:
    refresh()
    newcomer = Reader(make.key("write"))
    assert newcomer.status() == 401

    refresh()
    assert newcomer.status() == 200

    for key in ApiKey.objects.all():
        revoke_key(key=key, actor=make.ANNA)
    refresh()
    assert (newcomer.status(), app.status()) == (401, 401)


def test_refresh__numbers_went_back__everything_is_read_again(prompt: Prompt, app: Reader) -> None:
    make_prompt("made-after-the-backup")
    refresh()

    Prompt.objects.filter(name="made-after-the-backup").update(name="of-the-backup", generation=0)
    Sequence.objects.filter(name="generation").update(value=1)
    refresh()

    assert app.status(name="made-after-the-backup") == 404
    assert app.status(name="of-the-backup") == 200


def test_refresh__numbers_went_back__pinned_versions_too(
    prompt: Prompt, app: Reader, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_version(prompt, "2.4")  # is latest, so that no label serves v2.3
    refresh()
    app.body("version=2.3")

    Sequence.objects.filter(name="generation").update(value=1)
    refresh()

    with django_assert_num_queries(1):
        app.body("version=2.3")


def test_refresh__change_between_two_reads__one_consistent_state(
    prompt: Prompt, app: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promotion lands after the rollouts were read and before the labels are."""
    rollout = make_rollout(prompt)
    refresh()
    change(rollout, step=1, weight_bp=2500)
    promotions = [rollout]

    def promote_then_read(*given: Any) -> Any:
        if promotions:
            end(promotions.pop())
            point(prompt, "production", "2.3")
        return read_labels(*given)

    read_labels = documents._pointers
    monkeypatch.setattr(documents, "_pointers", promote_then_read)
    refresh()

    assert app.served(f"unit={CONTROL_AT_5_PERCENT}") == ("v2.3", "label")


def test_first_load__prompt_made_while_it_is_read__waits_for_the_next_pass(
    prompt: Prompt, app: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond MOST_IN_A_LIST each statement finds the prompts anew, this one among them."""
    monkeypatch.setattr(documents, "MOST_IN_A_LIST", 1)
    make_prompt("another")
    newcomers = ["newcomer"]
    read_rollouts = documents._rollouts

    def make_then_read(*given: Any) -> Any:
        if newcomers:
            make_prompt(newcomers.pop())
        return read_rollouts(*given)

    monkeypatch.setattr(documents, "_rollouts", make_then_read)
    refresh()

    assert (app.status(), app.status(name="newcomer")) == (200, 200)


# Pinned versions that no label serves


def test_pinned__more_than_are_kept__the_longest_unused_is_read_again(
    prompt: Prompt, app: Reader, django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinned, "MOST_KEPT", 2)
    for minor in range(4, 8):
        make_version(prompt, f"2.{minor}")
    refresh()

    with django_assert_num_queries(3):
        for version in ("2.4", "2.5", "2.4", "2.6", "2.4"):
            assert app.body(f"version={version}")["version"] == f"v{version}"
    with django_assert_num_queries(1):
        assert app.status("version=2.5") == 200


def test_pinned__larger_together_than_is_kept__the_longest_unused_is_read_again(
    prompt: Prompt, app: Reader, django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minor in range(4, 8):
        make_version(prompt, f"2.{minor}")
    refresh()
    size = len(load_pinned(find_version(prompt, "2.4").pk).version)  # they are all of one size
    monkeypatch.setattr(pinned, "MOST_BYTES", 2 * size)

    with django_assert_num_queries(3):
        for version in ("2.4", "2.5", "2.4", "2.6", "2.4"):
            assert app.status(f"version={version}") == 200
    with django_assert_num_queries(1):
        assert app.status("version=2.5") == 200


def test_pinned__larger_alone_than_is_kept__served(
    prompt: Prompt, app: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinned, "MOST_BYTES", 1)
    for minor in (4, 5):
        make_version(prompt, f"2.{minor}")
    refresh()

    assert [app.served(f"version=2.{minor}") for minor in (4, 3, 4)] == [
        ("v2.4", "pinned"),
        ("v2.3", "pinned"),
        ("v2.4", "pinned"),
    ]


def test_pinned__gone_with_a_restored_backup__unknown(app: Reader) -> None:
    refresh()
    known = snapshot_cache.cache.current()[0].prompts["order-extractor"]

    with pytest.raises(NotFound) as refused:
        snapshot_cache.cache.pinned(known, 10**9)  # a row that is not there

    assert refused.value.code == "unknown_version"

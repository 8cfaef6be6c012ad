"""Many at once on one prompt: whoever loses gets a Conflict, nothing is lost, and no ring of waits."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction

from common.errors import Conflict
from registry import events, selectors, services
from registry.models import Draft, Event, LabelMove, Prompt
from registry.sequences import touch
from tests import make
from tests.parallel import at_once

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 6


def codes(results: list[Any]) -> Counter[str]:
    return Counter(result.code if isinstance(result, Conflict) else "done" for result in results)


def publish(template: str, **fields: Any) -> Callable[[], Any]:
    return lambda: services.publish_version(
        prompt_name="order-extractor", content=make.content(template), notes="race", actor=make.ANNA, **fields
    )


def save(text: str, revision: int | None) -> Callable[[], Any]:
    prompt = Prompt.objects.get()
    return lambda: services.save_draft(
        prompt=prompt, content=make.content(text), notes="race", expected_revision=revision, actor=make.ANNA
    )


def move(version: str, label: str = "production") -> Callable[[], Any]:
    return lambda: services.move_label(
        prompt_name="order-extractor", label=label, version=version, reason="race", actor=make.ANNA
    )


def test_publish__next_version__all_get_their_own_number() -> None:
    prompt = make.prompt()

    results = at_once(*[publish(f"Text {number}") for number in range(THREADS)])

    versions = sorted((result.version for result in results), key=lambda version: version.ordinal)
    assert [version.ordinal for version in versions] == [1, 2, 3, 4, 5, 6]
    assert [version.number for version in versions] == ["v1.0", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5"]
    assert prompt.labels.get(name="latest").version == versions[-1]
    assert [event.data["ordinal"] for event in Event.objects.order_by("sequence")] == [1, 2, 3, 4, 5, 6]


def test_publish__the_same_number__one_wins() -> None:
    make.prompt()

    results = at_once(*[publish(f"Text {number}", version="1.0") for number in range(THREADS)])

    assert codes(results) == {"done": 1, "version_exists": THREADS - 1}
    assert Event.objects.count() == 1


@pytest.mark.parametrize("revision", [None, 1])
def test_save_draft__from_the_same_revision__one_wins_and_every_text_is_kept(revision: int | None) -> None:
    make.prompt()
    if revision:
        save("The text that all began with", None)()

    results = at_once(*[save(f"Text {number}", revision) for number in range(THREADS)])

    refused = [result for result in results if isinstance(result, Conflict)]
    stored = Draft.objects.get()
    assert codes(results) == {"done": 1, "stale_draft": THREADS - 1}
    assert {conflict.extra["stored"]["template"] for conflict in refused} == {stored.template}
    assert {conflict.extra["yours"]["template"] for conflict in refused} | {stored.template} == {
        f"Text {number}" for number in range(THREADS)
    }


def test_create_prompt__the_same_name__one_wins() -> None:
    results = at_once(*[make.prompt] * THREADS)

    assert codes(results) == {"done": 1, "prompt_exists": THREADS - 1}


def test_move_label__a_new_label__each_move_begins_where_the_last_ended() -> None:
    prompt = make.prompt()
    for number in range(THREADS):
        make.version(prompt, template=f"Text {number}")

    results = at_once(*[move(str(ordinal)) for ordinal in range(1, THREADS + 1)])

    moves = list(LabelMove.objects.filter(label__name="production").order_by("pk"))
    assert codes(results) == {"done": THREADS}
    assert len(moves) == THREADS
    assert moves[0].from_version is None
    assert all(after.from_version == before.to_version for before, after in pairwise(moves))
    assert selectors.find_label(prompt, "production").version == moves[-1].to_version


def test_unarchive__many__done_and_told_once() -> None:
    prompt = make.prompt()
    services.archive_prompt(prompt=prompt, actor=make.ANNA)

    results = at_once(*[lambda: services.unarchive_prompt(prompt=prompt, actor=make.ANNA)] * THREADS)

    assert codes(results) == {"done": THREADS}
    told = Event.objects.order_by("sequence").values_list("type", flat=True)
    assert list(told) == ["prompt.archived", "prompt.unarchived"]


def test_publish_move_promote_and_unarchive__none_waits_for_another_in_a_ring() -> None:
    prompt = make.prompt()
    first = make.version(prompt, "1.0")
    second = make.version(prompt, "1.1", template=make.TEXT + " Be exact.")
    label = make.label(first)

    def promote() -> None:
        """As a rollout does it: the label first, then the prompt, then what is told."""
        with transaction.atomic():
            services.promote_label(label_id=label.pk, version=second, reason="race", actor=make.ANNA)
            touch(prompt)
            events.record(type="rollout.promoted", prompt=prompt.name, data={})

    def unarchive() -> None:
        services.unarchive_prompt(prompt=prompt, actor=make.ANNA)

    for _ in range(3):
        results = at_once(publish("Text", bump="major"), move("1.0"), promote, promote, move("1.0"), unarchive)
        assert codes(results) == {"done": 6}
    sequences = list(Event.objects.order_by("sequence").values_list("sequence", flat=True))
    assert sequences == list(range(1, len(sequences) + 1))

"""Whatever changes something tells of it once, and records who did it: every service, driven for real."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest
from django.db import transaction

import observability.services
import registry.services
import rollout.services
import rollout.webhooks.services
from registry.events import EVENT_TYPES
from registry.models import AuditEntry, Event
from tests import make
from tests.acts import ACTS, LOOKS, Act
from tests.parallel import at_once

READS = "reads, or works out, and writes nothing"
PART = "part of a service that tells and records"
COMES_IN = "takes in what happened, which is no change that anyone made"
NOT_DRIVEN = {
    "registry.services.labels": {
        **dict.fromkeys(["move_latest", "hold_label", "release_label"], PART),
        "refuse_if_held": READS,
    },
    "registry.services.prompts": {"lock_prompt": READS},
    "registry.services.drafts": {"draft_json": READS},
    "registry.services.publishing": {**dict.fromkeys(["publish", "store", "announce"], PART), "changes_json": READS},
    "registry.services.refusals": dict.fromkeys(["problems_refused", "required_text"], READS),
    "rollout.services.changing": dict.fromkeys(["lock", "step_fields", "end", "change", "target_of", "audited"], PART),
    "rollout.webhooks.services": dict.fromkeys(["disable", "end"], PART),
    "observability.services.alerts": dict.fromkeys(["open_causes", "was_told"], READS),
    "observability.services.budgets": {"find_budget": READS},
    "observability.services.objectives": dict.fromkeys(
        ["usual_target_bp", "usual_days", "check_promise", "audited"], READS
    ),
    "observability.services.prices": dict.fromkeys(
        ["current_overrides", "forget_overrides", "stored_overrides", "provider_of", "pattern_of"], READS
    ),
    "observability.services.evaluators": {"checked_version": READS},
    "observability.services.scored_calls": {"find_calls": READS},
    "observability.services.scores": {
        **dict.fromkeys(["is_any_score_waiting", "observations_of"], READS),
        **dict.fromkeys(["record_scores", "record", "join_waiting_scores", "give_up_waiting_scores"], COMES_IN),
        **dict.fromkeys(["join_scores_to", "move"], COMES_IN),
    },
}


class Killed(Exception):
    pass


def modules() -> Iterator[ModuleType]:
    yield rollout.webhooks.services
    for package in (registry.services, observability.services, rollout.services):
        for found in pkgutil.iter_modules(package.__path__):
            yield importlib.import_module(f"{package.__name__}.{found.name}")


def public_functions() -> set[tuple[str, str]]:
    return {
        (module.__name__, name)
        for module in modules()
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == module.__name__
    }


def test_services__every_public_function__driven_or_named_with_why_not() -> None:
    driven = {(act.service.__module__, act.service.__name__) for act in ACTS}
    named = {(module, name) for module, names in NOT_DRIVEN.items() for name in names}

    assert driven | named == public_functions()
    assert not driven & named


def test_acts__together__make_every_type_of_event() -> None:
    assert {type_ for act in ACTS for type_ in act.events} == set(EVENT_TYPES)


@pytest.mark.django_db
@pytest.mark.parametrize("act", [*ACTS, *LOOKS], ids=str)
def test_act__once__its_one_event_and_its_entries(act: Act) -> None:
    before = act.given()
    events, entries = Event.objects.count(), AuditEntry.objects.count()

    act.do(before)

    told = list(Event.objects.order_by("sequence"))[events:]
    recorded = list(AuditEntry.objects.order_by("pk"))[entries:]
    assert tuple(event.type for event in told) == act.events
    assert tuple(entry.action for entry in recorded) == act.entries
    assert all(entry.actor and entry.target and (entry.before, entry.after) != (None, None) for entry in recorded)


@pytest.mark.django_db
@pytest.mark.parametrize("act", ACTS, ids=str)
def test_act__its_transaction_fails__no_event_and_no_entry(act: Act) -> None:
    before = act.given()
    found = Event.objects.count(), AuditEntry.objects.count()

    with suppress(Killed), transaction.atomic():
        act.do(before)
        raise Killed

    assert (Event.objects.count(), AuditEntry.objects.count()) == found


@pytest.mark.django_db(transaction=True)
def test_sequence__eight_at_once_some_of_which_fail__without_gaps() -> None:
    prompts = [make.prompt(f"prompt-{number}") for number in range(8)]

    def work(number: int) -> Any:
        for attempt in range(4):
            try:
                with transaction.atomic():
                    make.version(prompts[number], template=f"Way {attempt}")
                    if (number + attempt) % 3 == 0:
                        raise KeyError(number)
            except KeyError:
                continue

    at_once(*[lambda number=number: work(number) for number in range(8)])

    sequences = list(Event.objects.order_by("sequence").values_list("sequence", flat=True))
    failed = sum((number + attempt) % 3 == 0 for number in range(8) for attempt in range(4))
    assert sequences == list(range(1, 8 * 4 - failed + 1))
    assert AuditEntry.objects.filter(action="version.published").count() == len(sequences)

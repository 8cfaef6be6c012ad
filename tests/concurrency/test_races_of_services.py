"""Fault 37: eight at once on every service that changes state. What one may win one wins, and the others hear of it.

The others get a refusal, or what is documented of a change that was made already; the change itself is there once. A
new service without a race here fails the test.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from django.db.models import Count, Max

from common.actors import EVALUATOR
from common.clock import now
from common.errors import DomainError
from observability.models import (
    Alert,
    Evaluator,
    EvaluatorVersion,
    Judging,
    JudgingBudget,
    Objective,
    PriceOverride,
    Silence,
    SpendBudget,
)
from observability.services import alerts, budgets, evaluators, objectives, prices
from registry import services as registry
from registry.models import ApiKey, Draft, Event, Label, LabelMove, Prompt, PromptVersion
from rollout import services as rollouts
from rollout.models import ACTIVE, DeadReason, Delivery, Rollout, Transition, Verdict, WebhookEndpoint
from rollout.webhooks import services as webhooks
from rollout.webhooks.services import MOST_KEPT
from tests import make
from tests import rollouts as given
from tests.acts import CAUSE, FILE, alert, budget, judged, judging, objective, promised, silence
from tests.parallel import at_once
from tests.rollouts import ANNA
from tests.webhooks.stage import happen

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8
NAME = "order-extractor"
Change = Callable[[int], object]  # of the thread with this number


@dataclass(frozen=True, slots=True)
class Race:
    """begin: makes what is raced for. refused_as: what all but one hear; empty where everybody is answered.

    left: how often the change is found afterwards, in all.
    """

    begin: Callable[[], Change]
    refused_as: str
    left: Callable[[], int]
    times: int = 1


def moves() -> int:
    """Of labels, beside those with which they and their versions began."""
    return LabelMove.objects.filter(reason__contains="race").count()


def transitions(action: str) -> Callable[[], int]:
    return Transition.objects.filter(action=action).count


def of_label(change: Callable[[Label, PromptVersion, int], object]) -> Callable[[], Change]:
    """Of production, which points at v1.0; with v1.1."""

    def begin() -> Change:
        given.prompt()
        label, version = Label.objects.get(name="production"), PromptVersion.objects.get(ordinal=2)
        return lambda number: change(label, version, number)

    return begin


def of_draft(change: Callable[..., object], **how: Any) -> Callable[[], Change]:
    """Of a draft at revision 1."""

    def begin() -> Change:
        prompt = given.prompt()
        text = make.content("Another text: {{ order_text }}")
        registry.save_draft(prompt=prompt, content=text, notes="a race", expected_revision=None, actor=ANNA)
        return lambda number: change(prompt=prompt, expected_revision=1, actor=ANNA, **how)

    return begin


def of_rollout(change: Callable[..., object], *before: Callable[..., object], **how: Any) -> Callable[[], Change]:
    """Of a rollout that runs, or that is at what `before` made of it."""

    def begin() -> Change:
        rollout = given.rollout()
        for happening in before:
            happening(rollout_id=rollout.id, actor=ANNA)
        return lambda number: change(rollout_id=rollout.id, actor=ANNA, **how)

    return begin


def by_verdict(change: Callable[..., object], **how: Any) -> Callable[[], Change]:
    """As the evaluator asks for it: at the revision that it looked at."""

    def begin() -> Change:
        rollout = given.rollout()
        body = {"kind": "undecided", "reasons": []}
        verdict = Verdict.objects.create(rollout=rollout, kind="undecided", step=0, found_at=now(), body=body)
        seen = {"rollout_id": rollout.id, "cause": "a race", "verdict": verdict, "expected_revision": 2}
        return lambda number: change(actor=EVALUATOR, **seen, **how)

    return begin


def of_endpoint(change: Callable[..., object], **how: Any) -> Callable[[], Change]:
    """Of a webhook endpoint that is to be told of one event."""

    def begin() -> Change:
        endpoint = webhooks.create_endpoint(url="https://example.com/hook", actor=ANNA)
        happen()
        return lambda number: change(endpoint_id=endpoint.id, actor=ANNA, **how)

    return begin


def create_prompt() -> Change:
    return lambda number: registry.create_prompt(name=NAME, actor=ANNA)


def archive_prompt() -> Change:
    prompt = given.prompt()
    return lambda number: registry.archive_prompt(prompt=prompt, actor=ANNA)


def unarchive_prompt() -> Change:
    prompt = given.prompt()
    registry.archive_prompt(prompt=prompt, actor=ANNA)
    return lambda number: registry.unarchive_prompt(prompt=prompt, actor=ANNA)


def publish_version() -> Change:
    make.prompt()
    publish = partial(registry.publish_version, prompt_name=NAME, notes="a race", version="1.0", actor=ANNA)
    return lambda number: publish(content=make.content(f"Text {number}"))


def move_label() -> Change:
    given.prompt()
    to = {"prompt_name": NAME, "label": "production", "version": "1.1"}
    return lambda number: registry.move_label(**to, reason="a race", actor=ANNA)


def issue_key() -> Change:
    return lambda number: registry.issue_key(name=f"app {number}", scopes=["read"], actor=ANNA)


def revoke_key() -> Change:
    key, _ = registry.issue_key(name="app", scopes=["read"], actor=ANNA)
    return lambda number: registry.revoke_key(key=key, actor=ANNA)


def create_rollout() -> Change:
    given.prompt()
    return lambda number: rollouts.create_rollout(prompt_name=NAME, canary="1.1", plan=given.PLAN, actor=ANNA)


def start() -> Change:
    draft = given.rollout(start=False)
    return lambda number: rollouts.start(rollout_id=draft.id, actor=ANNA)


def recover() -> Change:
    rollout = given.rollout()
    held = rollouts.fail_evaluation(rollout_id=rollout.id, actor=EVALUATOR, reason="a bug", next_look_at=now())
    return lambda number: rollouts.recover(rollout_id=rollout.id, actor=EVALUATOR, expected_revision=held.revision)


def change_prompt() -> Change:
    prompt = make.prompt()
    return lambda number: registry.change_prompt(prompt_name=prompt.name, description="raced for", actor=ANNA)


def import_prompt() -> Change:
    return lambda number: registry.import_prompt(file=FILE, move_labels=True, actor=ANNA)


def create_endpoint() -> Change:
    return lambda number: webhooks.create_endpoint(url=f"https://example.com/{number}", actor=ANNA)


def enable_endpoint() -> Change:
    endpoint = webhooks.create_endpoint(url="https://example.com/hook", actor=ANNA)
    webhooks.disable_endpoint(endpoint_id=endpoint.id, actor=ANNA)
    return lambda number: webhooks.enable_endpoint(endpoint_id=endpoint.id, actor=ANNA)


def replay_all() -> Change:
    endpoint = webhooks.create_endpoint(url="https://example.com/hook", actor=ANNA)
    happen()
    webhooks.end(Delivery.objects.all(), DeadReason.RETRIES_USED_UP)
    return lambda number: webhooks.replay_all(endpoint_id=endpoint.id, status="dead", actor=ANNA)


def replay() -> Change:
    endpoint = webhooks.create_endpoint(url="https://example.com/hook", actor=ANNA)
    happen()
    webhooks.end(Delivery.objects.all(), DeadReason.RETRIES_USED_UP)
    delivery = Delivery.objects.get()
    return lambda number: webhooks.replay(endpoint_id=endpoint.id, delivery_id=delivery.id, actor=ANNA)


PRICE: dict[str, Any] = {"pattern": "house-model", "effective_from": now(), "input": Decimal(1), "output": Decimal(2)}


def add_override() -> Change:
    return lambda number: prices.add_override(actor=ANNA, **PRICE)


def remove_override() -> Change:
    override = prices.add_override(actor=ANNA, **PRICE)
    return lambda number: prices.remove_override(override_id=override.pk, actor=ANNA)


def of_alert(change: Callable[..., object], begun: Callable[[], str] = alert, **how: Any) -> Callable[[], Change]:
    """Of one that is open."""

    def begin() -> Change:
        alert_id = begun()
        return lambda number: change(alert_id=alert_id, actor=ANNA, **how)

    return begin


def create_objective() -> Change:
    make.prompt()
    return lambda number: objective()


def change_objective() -> Change:
    changed = partial(objectives.change_objective, objective_id=promised(), expected_revision=1, actor=ANNA)
    return lambda number: changed(threshold=0.5 + number / 100)


def delete_objective() -> Change:
    id_ = promised()
    return lambda number: objectives.delete_objective(objective_id=id_, actor=ANNA)


def publish_evaluator_version() -> Change:
    evaluator = make.evaluator()
    return lambda number: make.evaluator_version(evaluator, check="length", most=9)


def of_judging(change: Callable[..., object], begun: Callable[[], dict[str, str]]) -> Callable[[], Change]:
    """Of a prompt and an evaluator that may judge it, or does."""

    def begin() -> Change:
        names = begun()
        return lambda number: change(**names, actor=ANNA)

    return begin


def set_judging_budget() -> Change:
    name = make.prompt().name
    bounded = partial(evaluators.set_judging_budget, prompt_name=name, usd_a_day=None, actor=ANNA)
    return lambda number: bounded(calls_a_day=number)


def of_budget(change: Callable[..., object], **how: Any) -> Callable[[], Change]:
    def begin() -> Change:
        id_ = budget()
        return lambda number: change(budget_id=id_, actor=ANNA, **how)

    return begin


def notices(type_: str) -> Callable[[], int]:
    return Event.objects.filter(type=type_).count


RACES = {
    "registry.create_prompt": Race(create_prompt, "prompt_exists", Prompt.objects.count),
    "registry.change_prompt": Race(change_prompt, "", Prompt.objects.filter(description="raced for").count),
    "registry.import_prompt": Race(import_prompt, "", PromptVersion.objects.count),
    "registry.archive_prompt": Race(archive_prompt, "prompt_archived", Prompt.objects.exclude(archived_at=None).count),
    "registry.unarchive_prompt": Race(unarchive_prompt, "", Prompt.objects.filter(archived_at=None).count),
    "registry.publish_version": Race(publish_version, "version_exists", PromptVersion.objects.count),
    "registry.save_draft": Race(
        of_draft(registry.save_draft, content=make.content("mine"), notes="a race"),
        "stale_draft",
        Draft.objects.filter(revision=2).count,
    ),
    "registry.publish_draft": Race(
        of_draft(registry.publish_draft), "stale_draft", PromptVersion.objects.filter(ordinal__gt=2).count
    ),
    "registry.move_label": Race(move_label, "", moves),
    "registry.hold_label": Race(
        of_label(lambda label, _, number: registry.hold_label(label_id=label.pk, rollout_id=f"rol_{number}")),
        "rollout_active",
        Label.objects.exclude(held_by="").count,
    ),
    "registry.release_label": Race(
        of_label(lambda label, _, number: registry.release_label(label_id=label.pk)),
        "",
        Label.objects.filter(held_by="", name="production").count,
    ),
    "registry.promote_label": Race(
        of_label(
            lambda label, version, number: registry.promote_label(
                label_id=label.pk, version=version, reason="a race", actor=ANNA
            )
        ),
        "",
        moves,
    ),
    "registry.issue_key": Race(issue_key, "", ApiKey.objects.count, times=THREADS),
    "registry.revoke_key": Race(revoke_key, "", ApiKey.objects.exclude(revoked_at=None).count),
    "rollout.create_rollout": Race(create_rollout, "rollout_active", Rollout.objects.count),
    "rollout.start": Race(start, "illegal_transition", transitions("started")),
    "rollout.pause": Race(of_rollout(rollouts.pause), "illegal_transition", transitions("paused")),
    "rollout.resume": Race(of_rollout(rollouts.resume, rollouts.pause), "illegal_transition", transitions("resumed")),
    "rollout.promote": Race(of_rollout(rollouts.promote), "illegal_transition", transitions("promoted")),
    "rollout.rollback": Race(of_rollout(rollouts.rollback), "illegal_transition", transitions("rolled_back")),
    "rollout.cancel": Race(of_rollout(rollouts.cancel), "illegal_transition", transitions("cancelled")),
    "rollout.advance_step": Race(by_verdict(rollouts.advance_step), "stale_revision", transitions("step_advanced")),
    "rollout.hold": Race(
        by_verdict(rollouts.hold, hold_reason="inconclusive"), "stale_revision", transitions("inconclusive")
    ),
    "rollout.fail_evaluation": Race(
        of_rollout(rollouts.fail_evaluation, reason="a bug", next_look_at=now()), "", transitions("evaluation_failed")
    ),
    "rollout.recover": Race(recover, "stale_revision", transitions("recovered")),
    "webhooks.create_endpoint": Race(create_endpoint, "", WebhookEndpoint.objects.count, times=THREADS),
    "webhooks.disable_endpoint": Race(
        of_endpoint(webhooks.disable_endpoint), "", Delivery.objects.filter(status="dead").count
    ),
    "webhooks.change_endpoint": Race(
        of_endpoint(webhooks.change_endpoint, description="raced for"),
        "",
        WebhookEndpoint.objects.filter(description="raced for").count,
    ),
    "webhooks.rotate_secret": Race(
        of_endpoint(webhooks.rotate_secret),
        "",
        lambda: len(WebhookEndpoint.objects.get().previous_secrets),
        times=MOST_KEPT,
    ),
    "webhooks.enable_endpoint": Race(enable_endpoint, "", WebhookEndpoint.objects.filter(disabled_at=None).count),
    "webhooks.replay_all": Race(replay_all, "", Delivery.objects.filter(status="pending").count),
    "webhooks.replay": Race(replay, "delivery_pending", Delivery.objects.filter(status="pending").count),
    "alerts.fire": Race(lambda: lambda number: alert(), "", notices("alert.fired")),
    "alerts.resolve": Race(
        of_alert(lambda alert_id, actor: alerts.resolve(cause=CAUSE)), "", notices("alert.resolved")
    ),
    "alerts.acknowledge": Race(
        of_alert(alerts.acknowledge), "alert_acknowledged", Alert.objects.exclude(acknowledged_at=None).count
    ),
    "alerts.silence": Race(of_alert(lambda alert_id, actor: silence(alert_id)), "", Silence.objects.count),
    "alerts.unsilence": Race(
        of_alert(alerts.unsilence, lambda: silence(alert())), "not_silenced", lambda: 1 - Silence.objects.count()
    ),
    "prices.add_override": Race(add_override, "price_exists", PriceOverride.objects.count),
    "prices.remove_override": Race(remove_override, "unknown_price", lambda: 1 - PriceOverride.objects.count()),
    "evaluators.create_evaluator": Race(
        lambda: lambda number: make.evaluator(), "evaluator_exists", Evaluator.objects.count
    ),
    "evaluators.publish_evaluator_version": Race(
        publish_evaluator_version, "evaluator_unchanged", EvaluatorVersion.objects.count
    ),
    "evaluators.set_judging": Race(of_judging(evaluators.set_judging, judged), "", Judging.objects.count),
    "evaluators.remove_judging": Race(
        of_judging(evaluators.remove_judging, judging), "unknown_judging", lambda: 1 - Judging.objects.count()
    ),
    "evaluators.set_judging_budget": Race(set_judging_budget, "", JudgingBudget.objects.count),
    "objectives.create_objective": Race(create_objective, "objective_exists", Objective.objects.count),
    "objectives.change_objective": Race(
        change_objective, "stale_objective", Objective.objects.filter(revision=2).count
    ),
    "objectives.delete_objective": Race(delete_objective, "unknown_objective", lambda: 1 - Objective.objects.count()),
    "budgets.add_budget": Race(lambda: lambda number: budget(), "budget_exists", SpendBudget.objects.count),
    "budgets.change_budget": Race(
        of_budget(budgets.change_budget, usd=Decimal(9)), "", SpendBudget.objects.filter(usd=9).count
    ),
    "budgets.remove_budget": Race(
        of_budget(budgets.remove_budget), "unknown_budget", lambda: 1 - SpendBudget.objects.count()
    ),
}


OWN = {
    "webhooks": webhooks,
    "prices": prices,
    "alerts": alerts,
    "evaluators": evaluators,
    "objectives": objectives,
    "budgets": budgets,
}


def services() -> Iterator[str]:
    """What may change state: what registry and rollout export; elsewhere what takes an actor or is one transaction."""
    for area, package in {"registry": registry, "rollout": rollouts}.items():
        yield from (f"{area}.{name}" for name in package.__all__ if inspect.isfunction(getattr(package, name)))
    for area, module in OWN.items():
        yield from (f"{area}.{name}" for name, function in own(module) if is_service(function))


def own(module: ModuleType) -> Iterator[tuple[str, Callable[..., object]]]:
    """Its public functions, not those that it imports."""
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module.__name__ and not name.startswith("_"):
            yield name, function


def is_service(function: Callable[..., object]) -> bool:
    """Services are keyword-only; what is not is a part of one, inside of its transaction."""
    parameters = inspect.signature(function).parameters
    keyword_only = all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in parameters.values())
    return keyword_only and ("actor" in parameters or hasattr(function, "__wrapped__"))


def test_every_service__has_a_race() -> None:
    assert set(services()) == set(RACES)


@pytest.mark.parametrize("name", RACES)
def test_service__eight_at_once__one_wins(name: str) -> None:
    race = RACES[name]
    change = race.begin()

    outcomes = Counter(at_once(*[partial(outcome, change, number) for number in range(THREADS)]))

    assert outcomes == ({"done": 1, race.refused_as: THREADS - 1} if race.refused_as else {"done": THREADS})
    assert race.left() == race.times
    assert_told_without_gaps()


def outcome(change: Change, number: int) -> str:
    try:
        change(number)
    except DomainError as refusal:
        return refusal.code
    return "done"


def assert_told_without_gaps() -> None:
    """The events' numbers have no gap, each transition has its event, and who is active holds the label."""
    recorded, last = Event.objects.aggregate(Count("sequence"), Max("sequence")).values()
    assert recorded == (last or 0)
    told = Event.objects.filter(type__startswith="rollout.", data__has_key="transition").count()
    assert told == Transition.objects.count()
    for rollout in Rollout.objects.filter(status__in=ACTIVE).select_related("label"):
        assert rollout.label.held_by == rollout.id

"""Every service that changes something, ready to be driven once: what it needs, the act, and what has to come of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from common.clock import now
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.ingest import writer
from observability.models import Alert, AlertKind, Severity
from observability.services import alerts, budgets, evaluators, objectives, prices
from registry import services as registry
from registry.core.prompt_file import FORMAT, read_prompt_file
from registry.models import ApiKey, Prompt
from rollout import services
from rollout.models import HoldReason, Rollout, Verdict
from rollout.webhooks import services as webhooks
from rollout.webhooks.fan_out import deliver_new_events
from tests import make, traces
from tests import rollouts as given
from tests.make import ANNA

HARMFUL = {"control": (19_000, 342), "canary": (1_000, 80)}  # 1.8 % against 8 %: far beyond any threshold
EQUAL = {"control": (20_000, 400), "canary": (20_000, 400)}  # far more than a proof needs (median 1 576 at 1.8 %)
LAST = {"weight": "50%", "hold": "0s"}
QUICK: dict[str, Any] = {"promote_when": "no_harm_found", "min_units": 0}
URL = "https://hooks.example.org/serinus"
FILE = read_prompt_file(
    {
        "format": FORMAT,
        "name": "order-extractor",
        "description": "",
        "tags": [],
        "labels": {"production": "1.0"},
        "versions": [{"version": "1.0", "type": "text", "template": make.TEXT, "notes": "first"}],
    }
)


@dataclass(frozen=True, slots=True)
class Act:
    """service: the function that is driven. events, entries: types of the events, and actions of the audit trail."""

    service: Callable[..., Any]
    given: Callable[[], Any]
    do: Callable[[Any], Any]
    events: tuple[str, ...]
    entries: tuple[str, ...]
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.service.__name__


def saved_draft() -> Prompt:
    prompt = make.prompt()
    registry.save_draft(prompt=prompt, content=make.content(), notes="as discussed", expected_revision=None, actor=ANNA)
    return prompt


def archived() -> Prompt:
    prompt = make.prompt()
    registry.archive_prompt(prompt=prompt, actor=ANNA)
    return prompt


def key() -> ApiKey:
    return registry.issue_key(name="app", scopes=["read"], actor=ANNA)[0]


def endpoint() -> str:
    return webhooks.create_endpoint(url=URL, description="on call", actor=ANNA).pk


CAUSE = "baseline:order-extractor:production:faithfulness"


def alert(age: timedelta = timedelta(0)) -> str:
    """Its id. age: since it was told of."""
    summary = "faithfulness of order-extractor (production) fell from 0.94 to 0.87"
    told: dict[str, Any] = {"kind": AlertKind.BASELINE, "severity": Severity.WARNING, "summary": summary}
    fired = alerts.fire(cause=CAUSE, data={"now": 0.87}, prompt="order-extractor", label="production", **told)
    Alert.objects.filter(pk=fired.pk, notices=1).update(notified_at=now() - age)
    return fired.pk


def silence(alert_id: str) -> str:
    alerts.silence(alert_id=alert_id, until=now() + timedelta(hours=1), reason="a move", actor=ANNA)
    return alert_id


def disabled() -> str:
    made = endpoint()
    webhooks.disable_endpoint(endpoint_id=made, actor=ANNA)
    return made


def dead_delivery() -> tuple[str, str]:
    made = webhooks.create_endpoint(url=URL, actor=ANNA)
    archived()
    deliver_new_events()
    webhooks.end(made.deliveries.all(), webhooks.DeadReason.RETRIES_USED_UP)
    return made.pk, made.deliveries.get().pk


def objective() -> int:
    fields: dict[str, Any] = {"metric": "faithfulness", "comparison": "above", "threshold": 0.9}
    made = objectives.create_objective(prompt_name="order-extractor", name="faithfulness", **fields, actor=ANNA)
    return made.pk


def promised() -> int:
    make.prompt()
    return objective()


def price() -> int:
    return prices.add_override(pattern="m", effective_from=now(), input=1, output=2, actor=ANNA).pk


def budget() -> int:
    return budgets.add_budget(dimension="user", period="daily", usd=Decimal(5), actor=ANNA).pk


def judged() -> dict[str, str]:
    """A prompt, and an evaluator that may judge it."""
    version = make.evaluator_version(check="length", most=9)
    return {"prompt_name": make.prompt().name, "evaluator_name": version.evaluator.name}


def judging() -> dict[str, str]:
    names = judged()
    evaluators.set_judging(**names, actor=ANNA)
    return names


def paused() -> Rollout:
    return services.pause(rollout_id=given.rollout().pk, actor=ANNA)


def failing() -> Rollout:
    rollout = given.rollout()
    return services.fail_evaluation(rollout_id=rollout.pk, actor=ANNA, reason="KeyError: 'n'", next_look_at=now())


def observed() -> tuple[Rollout, Verdict]:
    """A running rollout with evidence of harm that no look has seen, traces of both arms, and some verdict."""
    rollout = given.rollout()
    given.look_now(rollout)
    given.observe(rollout, "hallucination", **HARMFUL)
    for number, arm in enumerate(("control", "canary")):
        stamp = traces.CHAT | {
            "gen_ai.prompt.name": rollout.prompt.name,
            "gen_ai.prompt.version": getattr(rollout, arm).number,
            "serinus.exposure": f"{rollout.id}:0:{arm}:182",
        }
        writer.store(decode_protobuf(traces.body(traces.span(stamp, number=number)), WANTED).spans)
    return rollout, Verdict.objects.get()


def seen(evidence: dict[str, tuple[int, int]], **plan: Any) -> tuple[Rollout]:
    """A running rollout with this evidence of all its metrics that no look has seen."""
    rollout = given.rollout(**plan)
    for metric in rollout.metrics.all():
        given.observe_many(rollout, metric.name, **evidence)
    return (rollout,)


def out_of_time() -> tuple[Rollout]:
    rollout = given.rollout()
    Rollout.objects.filter(pk=rollout.pk).update(deadline_at=now())
    return (rollout,)


def look(event: str, before: Callable[[], tuple[Any, ...]], *more: str) -> Act:
    """A look of the evaluator, by which the event comes about."""
    return Act(
        given.look_now, before, lambda found: given.look_now(found[0]), (event,), (*more, event), name=f"look: {event}"
    )


def by_verdict(service: Callable[..., Any], event: str, **more: Any) -> Act:
    def do(found: tuple[Rollout, Verdict]) -> None:
        rollout, verdict = found
        how = {"cause": "guardrail:hallucination", "verdict": verdict, "expected_revision": rollout.revision}
        service(rollout_id=rollout.pk, actor=ANNA, **how, **more)

    return Act(service, observed, do, (event,), (event,), name=event)


def by_hand(service: Callable[..., Any], before: Callable[[], Rollout], event: str, *more: str) -> Act:
    return Act(
        service,
        before,
        lambda rollout: service(rollout_id=rollout.pk, actor=ANNA, reason="as agreed"),
        (event,),
        (*more, event),
    )


def save(prompt: Prompt) -> None:
    registry.save_draft(prompt=prompt, content=make.content("Other"), notes="", expected_revision=1, actor=ANNA)


def publish(prompt: Prompt) -> None:
    registry.publish_version(prompt_name=prompt.name, content=make.content(), notes="first", actor=ANNA)


def move(prompt: Prompt) -> None:
    registry.move_label(prompt_name=prompt.name, label="production", version="1.1", reason="better", actor=ANNA)


def promote_label(prompt: Prompt) -> None:
    label, version = prompt.labels.get(name="production"), prompt.versions.get(ordinal=2)
    registry.promote_label(label_id=label.pk, version=version, reason="proven safe", actor=ANNA)


def create_rollout(prompt: Prompt) -> None:
    services.create_rollout(prompt_name=prompt.name, canary="1.1", plan=given.PLAN, actor=ANNA)


def holds() -> list[Act]:
    return [
        by_verdict(services.hold, services.EVENT_OF_HOLD[reason], hold_reason=reason)
        for reason in HoldReason
        if reason != HoldReason.EVALUATION_FAILED
    ]


PUBLISHED = ("label.moved", "version.published")
ACTS = [
    Act(registry.create_prompt, lambda: None, lambda _: make.prompt(), (), ("prompt.created",)),
    Act(
        registry.change_prompt,
        make.prompt,
        lambda prompt: registry.change_prompt(prompt_name=prompt.name, description="of orders", actor=ANNA),
        (),
        ("prompt.changed",),
    ),
    Act(
        registry.import_prompt,
        lambda: None,
        lambda _: registry.import_prompt(file=FILE, move_labels=True, actor=ANNA),
        ("version.published", "label.moved"),
        ("prompt.created", "label.moved", "version.published", "label.moved"),
    ),
    Act(
        registry.archive_prompt,
        make.prompt,
        lambda prompt: registry.archive_prompt(prompt=prompt, actor=ANNA),
        ("prompt.archived",),
        ("prompt.archived",),
    ),
    Act(
        registry.unarchive_prompt,
        archived,
        lambda prompt: registry.unarchive_prompt(prompt=prompt, actor=ANNA),
        ("prompt.unarchived",),
        ("prompt.unarchived",),
    ),
    Act(registry.save_draft, saved_draft, save, (), ("draft.saved",)),
    Act(
        registry.publish_draft,
        saved_draft,
        lambda prompt: registry.publish_draft(prompt=prompt, expected_revision=1, actor=ANNA),
        ("version.published",),
        (*PUBLISHED, "draft.saved"),
    ),
    Act(registry.publish_version, make.prompt, publish, ("version.published",), PUBLISHED),
    Act(registry.move_label, given.prompt, move, ("label.moved",), ("label.moved",)),
    Act(registry.promote_label, given.prompt, promote_label, (), ("label.moved",)),
    Act(registry.issue_key, lambda: None, lambda _: key(), (), ("key.issued",)),
    Act(registry.revoke_key, key, lambda issued: registry.revoke_key(key=issued, actor=ANNA), (), ("key.revoked",)),
    Act(
        services.create_rollout,
        given.prompt,
        create_rollout,
        ("rollout.started",),
        ("rollout.created", "rollout.started"),
    ),
    by_hand(services.start, lambda: given.rollout(start=False), "rollout.started"),
    by_hand(services.pause, given.rollout, "rollout.paused"),
    by_hand(services.resume, paused, "rollout.resumed"),
    by_hand(services.promote, given.rollout, "rollout.promoted", "label.moved"),
    by_hand(services.rollback, given.rollout, "rollout.rolled_back"),
    by_hand(services.cancel, given.rollout, "rollout.cancelled"),
    by_verdict(services.advance_step, "rollout.step_advanced"),
    *holds(),
    Act(
        services.fail_evaluation,
        given.rollout,
        lambda rollout: services.fail_evaluation(
            rollout_id=rollout.pk, actor=ANNA, reason="KeyError: 'n'", next_look_at=now()
        ),
        ("rollout.evaluation_failed",),
        ("rollout.evaluation_failed",),
    ),
    Act(
        services.recover,
        failing,
        lambda rollout: services.recover(rollout_id=rollout.pk, actor=ANNA, expected_revision=rollout.revision),
        ("rollout.recovered",),
        ("rollout.recovered",),
    ),
    Act(webhooks.create_endpoint, lambda: None, lambda _: endpoint(), (), ("webhook.created",)),
    Act(
        webhooks.disable_endpoint,
        endpoint,
        lambda id_: webhooks.disable_endpoint(endpoint_id=id_, actor=ANNA),
        ("webhook.disabled",),
        ("webhook.disabled",),
    ),
    Act(
        webhooks.change_endpoint,
        endpoint,
        lambda id_: webhooks.change_endpoint(endpoint_id=id_, description="nights", actor=ANNA),
        (),
        ("webhook.changed",),
    ),
    Act(
        webhooks.rotate_secret,
        endpoint,
        lambda id_: webhooks.rotate_secret(endpoint_id=id_, actor=ANNA),
        (),
        ("webhook.rotated",),
    ),
    Act(
        webhooks.enable_endpoint,
        disabled,
        lambda id_: webhooks.enable_endpoint(endpoint_id=id_, actor=ANNA),
        (),
        ("webhook.enabled",),
    ),
    Act(
        webhooks.replay_all,
        dead_delivery,
        lambda ids: webhooks.replay_all(endpoint_id=ids[0], status="dead", actor=ANNA),
        (),
        ("delivery.replayed",),
    ),
    Act(
        webhooks.replay,
        dead_delivery,
        lambda ids: webhooks.replay(endpoint_id=ids[0], delivery_id=ids[1], actor=ANNA),
        (),
        ("delivery.replayed",),
    ),
    Act(alerts.fire, lambda: None, lambda _: alert(), ("alert.fired",), ()),
    Act(
        alerts.fire,
        lambda: alert(age=timedelta(days=1)),
        lambda _: alert(),
        ("alert.renotified",),
        (),
        name="fire_what_goes_on",
    ),
    Act(alerts.resolve, alert, lambda _: alerts.resolve(cause=CAUSE), ("alert.resolved",), ()),
    Act(
        alerts.acknowledge,
        alert,
        lambda id_: alerts.acknowledge(alert_id=id_, actor=ANNA),
        ("alert.acknowledged",),
        ("alert.acknowledged",),
    ),
    Act(alerts.silence, alert, silence, ("alert.silenced",), ("alert.silenced",)),
    Act(
        alerts.unsilence,
        lambda: silence(alert()),
        lambda id_: alerts.unsilence(alert_id=id_, actor=ANNA),
        ("alert.unsilenced",),
        ("alert.unsilenced",),
    ),
    Act(evaluators.create_evaluator, lambda: None, lambda _: make.evaluator(), (), ("evaluator.created",)),
    Act(
        evaluators.publish_evaluator_version,
        make.evaluator,
        lambda evaluator: make.evaluator_version(evaluator, check="length", most=9),
        (),
        ("evaluator.published",),
    ),
    Act(
        evaluators.set_judging, judged, lambda names: evaluators.set_judging(**names, actor=ANNA), (), ("judging.set",)
    ),
    Act(
        evaluators.remove_judging,
        judging,
        lambda names: evaluators.remove_judging(**names, actor=ANNA),
        (),
        ("judging.removed",),
    ),
    Act(
        evaluators.set_judging_budget,
        make.prompt,
        lambda prompt: evaluators.set_judging_budget(
            prompt_name=prompt.name, calls_a_day=9, usd_a_day=None, actor=ANNA
        ),
        (),
        ("judging.budgeted",),
    ),
    Act(
        objectives.create_objective,
        make.prompt,
        lambda _: objective(),
        (),
        ("objective.created",),
    ),
    Act(
        objectives.change_objective,
        promised,
        lambda id_: objectives.change_objective(objective_id=id_, threshold=0.8, actor=ANNA),
        (),
        ("objective.changed",),
    ),
    Act(
        objectives.delete_objective,
        promised,
        lambda id_: objectives.delete_objective(objective_id=id_, actor=ANNA),
        (),
        ("objective.deleted",),
    ),
    Act(budgets.add_budget, lambda: None, lambda _: budget(), (), ("spend_budget.added",)),
    Act(
        budgets.change_budget,
        budget,
        lambda id_: budgets.change_budget(budget_id=id_, usd=Decimal(9), actor=ANNA),
        (),
        ("spend_budget.changed",),
    ),
    Act(
        budgets.remove_budget,
        budget,
        lambda id_: budgets.remove_budget(budget_id=id_, actor=ANNA),
        (),
        ("spend_budget.removed",),
    ),
    Act(prices.add_override, lambda: None, lambda _: price(), (), ("price.added",)),
    Act(
        prices.remove_override,
        price,
        lambda id_: prices.remove_override(override_id=id_, actor=ANNA),
        (),
        ("price.removed",),
    ),
    Act(
        prices.reprice,
        lambda: None,
        lambda _: list(prices.reprice(since=now() - timedelta(days=1))),
        (),
        ("calls.repriced",),
    ),
]
LOOKS = [
    look("rollout.rolled_back", observed),
    look("rollout.harm_found", lambda: seen(HARMFUL, auto_rollback=False)),
    look("rollout.step_advanced", lambda: seen(EQUAL, steps=[LAST, {"weight": "80%", "hold": "0s"}], **QUICK)),
    look("rollout.promoted", lambda: seen(EQUAL, steps=[LAST]), "label.moved"),
    look("rollout.proven_safe", lambda: seen(EQUAL, steps=[LAST], auto_promote=False)),
    look("rollout.invalid", lambda: seen({"control": (2_000, 40), "canary": (2_000, 40)})),
    look("rollout.inconclusive", out_of_time),
]

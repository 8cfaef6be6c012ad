"""Rollouts, webhooks and what apps are served, as docs/reference/openapi.yaml tells of them."""

from typing import Any, get_args

from rest_framework import serializers

from common.openapi import (
    BOOLEAN,
    ETAG,
    IF_MATCH,
    INTEGER,
    MONEY,
    NUMBER,
    OBJECT,
    TEXT,
    TIME,
    Operation,
    Operations,
    Schema,
    array,
    extended,
    loose,
    mapping,
    members,
    nullable,
    one_of,
    ref,
    said,
)
from observability.api.ranges import RangeFilters
from registry.events import EVENT_TYPES
from registry.openapi import VERSION
from rollout import api, api_events, services
from rollout.core.plan import Direction, Kind
from rollout.models import HoldReason, Status
from rollout.plans import ChanceField, DurationField, NeededBudget, ShareField
from rollout.webhooks import api as webhooks

MAYBE_TEXT, MAYBE_NUMBER, MAYBE_INTEGER = nullable(TEXT), nullable(NUMBER), nullable(INTEGER)
SHARE: Schema = {"type": ["string", "number"], "description": "A share", "examples": ["5%", 0.05]}

FIELDS: dict[type[serializers.Field[Any, Any, Any, Any]], Any] = {
    ShareField: lambda _: SHARE,
    ChanceField: lambda _: SHARE,
    NeededBudget: lambda _: {"anyOf": [SHARE, mapping(SHARE)]},
    DurationField: lambda _: {"type": "string", "pattern": "^[0-9]{1,6}[smhd]$", "examples": ["15m"]},
}
"""Of fields of our own, what each accepts."""

ARM = members(n=INTEGER, units=NUMBER, estimate=MAYBE_NUMBER)
COUNTED = array(members(share=NUMBER, control=NUMBER, canary=NUMBER))
RATIO = {"log_e": NUMBER, "log_threshold": NUMBER}
JUDGED = members(control=NUMBER, canary=NUMBER)
METRIC = members(
    name=TEXT,
    measure=TEXT,
    kind=one_of(*get_args(Kind)),
    role=one_of("guardrail", "observed"),
    direction=one_of(*get_args(Direction)),
    margin=nullable(mapping(NUMBER)),
    limit=MAYBE_NUMBER,
    weight=NUMBER,
)
PLANNED = members(
    {
        "when_superseded": said(one_of("reject", "replace"), "Not there in plans from before it was known: reject"),
        "canary_spend_cap": said(MAYBE_TEXT, "USD; null for none; not there in plans from before it was known: none"),
        "needs_budget_bp": said(
            {"anyOf": [INTEGER, mapping(INTEGER), {"type": "null"}]},
            "Least share of error budgets that must be left at the start, of all objectives or by name",
        ),
    },
    metrics=array(
        members(
            {
                "evaluator": said(TEXT, "Whose scores alone are evidence, its version from the start on"),
                "judged_by_step": said(array(JUDGED), "How an evaluator's calls are chosen, from the start on"),
            },
            **METRIC["properties"],
            judged=JUDGED,
        )
    ),
    steps=array(members(weight_bp=INTEGER, hold_s=INTEGER)),
    alpha=NUMBER,
    promote_when=TEXT,
    on_inconclusive=TEXT,
    max_duration_s=INTEGER,
    min_units=INTEGER,
    look_every_s=INTEGER,
    warm_up_s=INTEGER,
    auto_promote=BOOLEAN,
    auto_rollback=BOOLEAN,
)
ARM_SPEND = members(usd=said(TEXT, "Of the calls whose cost is known"), calls=INTEGER, unpriced_calls=INTEGER)
VERDICT = members(
    {
        "spend": said(
            members(cap_usd=MAYBE_TEXT, control=ARM_SPEND, canary=ARM_SPEND),
            "What the arms have cost since the start; not there in rollouts from before that was counted",
        )
    },
    kind=one_of("undecided", "harmful", "safe", "invalid", "inconclusive", "spent"),
    reasons=array(TEXT),
    guilty=array(TEXT),
    log_e_harm=NUMBER,
    log_threshold=NUMBER,
    sample_ratio=members(**RATIO, counted=COUNTED),
    judged_ratio=members(**RATIO, counted=mapping(COUNTED)),
    canary_units=NUMBER,
    fresh=BOOLEAN,
    hold_served=BOOLEAN,
    time_is_up=BOOLEAN,
    at=TIME,
    paused=BOOLEAN,
    hold_reason=TEXT,
    metrics=array(
        extended(
            METRIC,
            unit=TEXT,
            control=ARM,
            canary=ARM,
            difference=MAYBE_NUMBER,
            interval=nullable(array(NUMBER)),
            batches=INTEGER,
            design_effect=NUMBER,
            log_e_harm=NUMBER,
            log_e_safe=NUMBER,
            max_log_e_safe=NUMBER,
            verdict=one_of("undecided", "harmful", "safe"),
        )
    ),
)
DELAYS = {
    name: said(MAYBE_INTEGER, "A median; null for never, or where no traffic tells")
    for name in ("canary_calls_to_find_harm", "find_harm_s", "canary_calls_to_prove_safe", "prove_safe_s")
}
OUTCOME = members(decision=MAYBE_TEXT, after_s=MAYBE_INTEGER)
NAMED_CALLS = members(prompt=TEXT, version=TEXT, calls=INTEGER)

SCHEMAS: dict[str, Schema] = {
    "Plan": said(PLANNED, "Weights in basis points, durations in seconds"),
    "VerdictBody": said(VERDICT, "Evidence in natural logarithms, estimates in each metric's unit"),
    "Verdict": extended(VERDICT, id=INTEGER, step=INTEGER),
    "Rollout": members(
        id=TEXT,
        prompt=TEXT,
        label=TEXT,
        control=said(TEXT, "Version"),
        canary=said(TEXT, "Version"),
        status=one_of(*Status.values),
        step=said(INTEGER, "Index from 0"),
        steps=PLANNED["properties"]["steps"],
        weight_bp=said(INTEGER, "The canary's share in basis points", minimum=0, maximum=10_000),
        revision=said(INTEGER, "Grows with every change; send it back as `revision` or If-Match"),
        hold_reason=nullable(one_of(*HoldReason.values)),
        hold_until=nullable(TIME),
        verdict=nullable(ref("VerdictBody")),
        plan=ref("Plan"),
        created_by=TEXT,
        created_at=TIME,
        started_at=nullable(TIME),
        ended_at=nullable(TIME),
        url=said(TEXT, "Of its page"),
    ),
    "Transition": members(
        revision=INTEGER,
        action=TEXT,
        from_status=TEXT,
        to_status=TEXT,
        step=INTEGER,
        from_weight_bp=INTEGER,
        to_weight_bp=INTEGER,
        cause=TEXT,
        reason=TEXT,
        actor=TEXT,
        at=TIME,
        verdict=nullable(ref("VerdictBody")),
    ),
    "Forecast": members(
        prompt=TEXT,
        label=TEXT,
        control=TEXT,
        canary=MAYBE_TEXT,
        plan=ref("Plan"),
        traffic=members(since=TIME, calls=INTEGER, calls_per_day=NUMBER),
        judging=said(
            nullable(
                members(
                    calls_per_day=NUMBER,
                    usd_per_day=nullable(MONEY),
                    afforded=said(NUMBER, "The part of what the set shares come to that the budget allows"),
                    budget=members(calls_a_day=nullable(INTEGER), usd_a_day=nullable(MONEY)),
                )
            ),
            "What judging the prompt takes of its budget in a day, by all that ask a model; null where none does",
        ),
        metrics=array(
            extended(
                METRIC,
                unit=TEXT,
                evaluator=MAYBE_TEXT,
                baseline=members(n=INTEGER, estimate=MAYBE_NUMBER),
                observed_calls=INTEGER,
                **DELAYS,
            )
        ),
        overall=members(**DELAYS, if_worse=OUTCOME, if_equal=OUTCOME),
        canary_spend=nullable(
            members(
                cap_usd=TEXT,
                usd_per_call=said(TEXT, "Of the prompt's calls lately"),
                canary_calls=said(MAYBE_INTEGER, "Until the cap is reached"),
                after_s=said(MAYBE_INTEGER, "From the start; null where no traffic tells"),
            )
        ),
        warnings=array(TEXT),
        budgets=said(
            array(members(name=TEXT, needed=NUMBER, left=MAYBE_NUMBER, n=NUMBER, met=BOOLEAN)),
            "What the plan needs to be left of error budgets, and what is",
        ),
    ),
    "DataQuality": members(
        since=TIME,
        until=TIME,
        refused=said(OBJECT, "What was not taken, by kind and reason"),
        calls=INTEGER,
        calls_without_prompt=INTEGER,
        calls_without_version=INTEGER,
        calls_with_unknown_version=members(calls=INTEGER, versions=array(NAMED_CALLS)),
        ttft_is_total=members(calls=INTEGER, streams=INTEGER),
        merged_calls=INTEGER,
        held_attempts=INTEGER,
        unpriced=members(
            calls=INTEGER,
            tokens=INTEGER,
            models=array(members(model=MAYBE_TEXT, calls=INTEGER, tokens=INTEGER)),
        ),
        calls_with_unassigned_version=members(
            calls=INTEGER,
            versions=array(members(rollout=TEXT, arm=TEXT, expected=TEXT, version=MAYBE_TEXT, calls=INTEGER)),
        ),
        calls_with_unknown_rollout=members(calls=INTEGER, rollouts=array(members(rollout=TEXT, calls=INTEGER))),
        canary_calls_scored=array(
            members(rollout=TEXT, score=TEXT, canary_calls=INTEGER, scored=INTEGER, share=MAYBE_NUMBER)
        ),
        scores_without_a_call=members(waiting=INTEGER, given_up=INTEGER),
    ),
    "Event": members(
        id=TEXT,
        sequence=said(INTEGER, "Without gaps"),
        type=one_of(*EVENT_TYPES),
        timestamp=TIME,
        prompt=TEXT,
        data=said(OBJECT, "By type, as docs/reference/events/ describes it"),
    ),
    "Events": members(
        items=array(ref("Event")),
        next=said(MAYBE_INTEGER, "The `after` of the next page; null when there is none yet"),
        last=said(INTEGER, "The sequence that was read up to"),
    ),
    "ServedPrompt": extended(
        VERSION,
        label=said(MAYBE_TEXT, "null when a version was asked for"),
        reason=one_of("label", "control", "canary", "pinned"),
        sticky=said(BOOLEAN, "false when it was drawn, no unit being given"),
        rollout=nullable(
            members(id=TEXT, arm=one_of("control", "canary"), step=INTEGER, weight=NUMBER, weight_bp=INTEGER)
        ),
        trace=said(mapping(TEXT), "Attributes for the span of the call that is made with this"),
    ),
    "Ruleset": members(
        generation=INTEGER,
        digest=TEXT,
        since=MAYBE_INTEGER,
        prompts=mapping(
            members(
                digest=TEXT,
                archived=BOOLEAN,
                labels=mapping(members(version=TEXT, rollout=nullable(ref("RolloutRule")))),
                versions=mapping(ref("ServedVersion")),
            )
        ),
    ),
    "RolloutRule": members(id=TEXT, salt=TEXT, step=INTEGER, weight_bp=INTEGER, control=TEXT, canary=TEXT),
    "Evaluation": members(
        key=TEXT,
        value=ref("ServedVersion"),
        reason=one_of("STATIC", "SPLIT", "TARGETING_MATCH"),
        variant=TEXT,
        metadata=mapping({"type": ["string", "number", "boolean"]}),
    ),
    "Evaluations": members(flags=array(ref("Evaluation"))),
    "EvaluationFailure": members({"key": TEXT}, errorCode=TEXT, errorDetails=TEXT),
    "EvaluationRequest": loose(
        members(context=loose(members({"targetingKey": MAYBE_TEXT, "label": MAYBE_TEXT, "version": MAYBE_TEXT})))
    ),
}


class NewWebhook(webhooks.WebhookSerializer):
    """With its secret, which no other answer has."""

    secret = serializers.CharField()

    class Meta(webhooks.WebhookSerializer.Meta):
        fields = [*webhooks.WebhookSerializer.Meta.fields, "secret"]


PARAMETERS: dict[str, Schema] = {
    "rollout_id": TEXT,
    "action": one_of(*services.ACTIONS),
    "webhook_id": TEXT,
    "delivery_id": TEXT,
    "event_id": TEXT,
    "key": said(TEXT, "The prompt's name"),
}
"""Of addresses."""

ROLLOUTS = "/api/v1/rollouts"
ROLLOUT = f"{ROLLOUTS}/{{rollout_id}}"
NO_ROLLOUT = {404: ("unknown_rollout",)}
WEBHOOKS = "/api/v1/webhooks"
WEBHOOK = f"{WEBHOOKS}/{{webhook_id}}"
NO_WEBHOOK = {404: ("unknown_webhook",)}
WRONG_PLAN = {404: ("unknown_prompt", "unknown_label", "unknown_version"), 410: ("prompt_archived",)}
NO_START = (
    *("rollout_active", "harm_found", "budget_spent"),
    *("canary_is_control", "major_change", "text_rolled_back_before", "cooling_down"),
)
IF_NONE_MATCH = {"If-None-Match": said(TEXT, "An ETag; while the answer would be the same, it is 304")}
ACTIONS = {
    "start": "a draft begins",
    "pause": "no looks are taken, the split stays as it is",
    "resume": "it goes on after a pause or a hold",
    "promote": "everyone gets the canary",
    "rollback": "everyone gets the control",
    "cancel": "a draft is given up",
}
NOT_SERVED = {
    400: ("unknown_parameter", "repeated_parameter", "malformed_query"),
    503: ("no_state_yet", "database_away"),
}

OPERATIONS: Operations = {
    "GET /prompts/{name}": Operation(
        "The prompt as an app gets it",
        ref("ServedPrompt"),
        query={
            "label": said(TEXT, "Which label's version; production when not given"),
            "unit": said(TEXT, "The user, session or tenant, by which the arm is chosen"),
            "version": said(TEXT, "Exactly this version"),
        },
        headers={"Serinus-Unit": said(TEXT, "The unit, where it is to stay out of the address"), **IF_NONE_MATCH},
        more_answers={304: None},
        refusals={
            **NOT_SERVED,
            404: ("unknown_prompt", "unknown_label", "unknown_version"),
            410: ("prompt_archived",),
        },
        scope="read",
    ),
    "GET /ruleset": Operation(
        "What clients assign by",
        ref("Ruleset"),
        query={
            "label": said(array(TEXT), "Only these labels"),
            "since": said(INTEGER, "Only what changed after this generation", minimum=0, maximum=10**18 - 1),
            "wait": said(INTEGER, "Seconds to wait for a change; with If-None-Match", minimum=0, maximum=30),
        },
        headers=IF_NONE_MATCH,
        more_answers={304: None},
        refusals=NOT_SERVED,
        scope="read",
    ),
    "POST /ofrep/v1/evaluate/flags": Operation(
        "Evaluate all prompts of a label (OpenFeature)",
        ref("Evaluations"),
        body=ref("EvaluationRequest"),
        example={"context": {"targetingKey": "user-42"}},
        headers=IF_NONE_MATCH,
        more_answers={304: None},
        scope="read",
        refused=ref("EvaluationFailure"),
        refusals={400: (), 401: (), 403: (), 404: (), 413: (), 503: ()},
    ),
    "POST /ofrep/v1/evaluate/flags/{key}": Operation(
        "Evaluate one prompt (OpenFeature)",
        ref("Evaluation"),
        body=ref("EvaluationRequest"),
        example={"context": {"targetingKey": "user-42"}},
        scope="read",
        refused=ref("EvaluationFailure"),
        refusals={400: (), 401: (), 403: (), 404: (), 413: (), 503: ()},
    ),
    f"GET {ROLLOUTS}": Operation(
        "Rollouts, newest first",
        ref("Rollout"),
        pages=True,
        query=api.RolloutFilters,
    ),
    f"POST {ROLLOUTS}": Operation(
        "Create a rollout, and start it",
        ref("Rollout"),
        status=201,
        body=api.RolloutForm,
        example={"prompt": "order-extractor", "canary": "1.1", "plan": {"steps": [{"weight": "5%", "hold": "24h"}]}},
        refusals={**WRONG_PLAN, 409: NO_START, 422: ("invalid_plan",)},
    ),
    f"POST {ROLLOUTS}/plan": Operation(
        "How long a plan would need; nothing is changed",
        ref("Forecast"),
        body=api.ForecastForm,
        example={"prompt": "order-extractor", "canary": "1.1"},
        refusals={**WRONG_PLAN, 422: ("invalid_plan",)},
    ),
    f"GET {ROLLOUT}": Operation(
        "A rollout with its newest verdict", ref("Rollout"), answer_headers=ETAG, refusals=NO_ROLLOUT
    ),
    f"GET {ROLLOUT}/verdicts": Operation("Its verdicts, newest first", ref("Verdict"), pages=True, refusals=NO_ROLLOUT),
    f"GET {ROLLOUT}/transitions": Operation(
        "Its transitions, newest first", ref("Transition"), pages=True, refusals=NO_ROLLOUT
    ),
    f"POST {ROLLOUT}/{{action}}": Operation(
        "Change a rollout by hand",
        ref("Rollout"),
        description="; ".join(f"`{action}`: {what}" for action, what in ACTIONS.items()) + ".",
        body=api.ActionForm,
        example={"reason": "as agreed"},
        headers=IF_MATCH,
        answer_headers=ETAG,
        refusals={
            **NO_ROLLOUT,
            400: ("malformed_if_match", "revisions_differ"),
            409: ("stale_revision", "illegal_transition", *NO_START),
            422: ("invalid_plan",),
        },
    ),
    "GET /api/v1/data-quality": Operation(
        "How good the data is that rollouts are judged on", ref("DataQuality"), query=RangeFilters
    ),
    "GET /api/v1/events": Operation(
        "Events in their order, waiting for one if asked to",
        ref("Events"),
        query=api_events.EventFilters,
        refusals={409: ("unknown_sequence",), 410: ("events_pruned",)},
    ),
    "GET /api/v1/events/{event_id}": Operation("An event", ref("Event"), refusals={404: ("unknown_event",)}),
    f"GET {WEBHOOKS}": Operation("Webhooks, newest first", webhooks.WebhookSerializer, pages=True),
    f"POST {WEBHOOKS}": Operation(
        "Add a webhook; its secret is shown once",
        NewWebhook,
        status=201,
        body=webhooks.WebhookForm,
        example={"url": "https://hooks.example.com/serinus", "events": ["rollout.rolled_back"]},
    ),
    f"GET {WEBHOOK}": Operation("A webhook", webhooks.WebhookSerializer, refusals=NO_WEBHOOK),
    f"PATCH {WEBHOOK}": Operation(
        "Change a webhook", webhooks.WebhookSerializer, body=webhooks.WebhookForm, refusals=NO_WEBHOOK
    ),
    f"DELETE {WEBHOOK}": Operation("Disable a webhook", status=204, refusals=NO_WEBHOOK),
    f"POST {WEBHOOK}/enable": Operation("Enable a webhook again", webhooks.WebhookSerializer, refusals=NO_WEBHOOK),
    f"POST {WEBHOOK}/rotate": Operation(
        "A new secret, shown once",
        NewWebhook,
        body=webhooks.Rotation,
        refusals={**NO_WEBHOOK, 409: ("webhook_disabled",)},
    ),
    f"GET {WEBHOOK}/deliveries": Operation(
        "Its deliveries, newest first",
        webhooks.DeliverySerializer,
        pages=True,
        query=webhooks.DeliveryQuery,
        refusals=NO_WEBHOOK,
    ),
    f"POST {WEBHOOK}/deliveries/{{delivery_id}}/replay": Operation(
        "Deliver once more",
        webhooks.DeliverySerializer,
        refusals={404: ("unknown_webhook", "unknown_delivery"), 409: ("delivery_pending", "webhook_disabled")},
    ),
    f"POST {WEBHOOK}/replay": Operation(
        "Deliver all dead ones once more",
        members(replayed=INTEGER),
        query=webhooks.ReplayQuery,
        refusals={**NO_WEBHOOK, 409: ("webhook_disabled",)},
    ),
}

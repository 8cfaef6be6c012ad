"""What comes in and what is read of calls, scores, prices and spending, as docs/reference/openapi.yaml tells of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework.serializers import DecimalField, Field

from common.openapi import (
    ANY,
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
from observability.api.alerts import AlertFilters, NewSilence, Reason
from observability.api.baselines import BaselineFilters
from observability.api.budgets import BudgetChange, NewBudget
from observability.api.calls import CallFilters
from observability.api.evaluators import BudgetForm, EvaluatorForm, EvaluatorVersionForm, JudgingForm, TryForm
from observability.api.fields import Share
from observability.api.judging import EvaluationFilters, JudgingFilters
from observability.api.metrics import Groupings, MetricFilters
from observability.api.new_calls import MOST_CALLS, CallForm, Number, Tokens
from observability.api.objectives import NewObjective, ObjectiveChanges, ObjectiveFilters, Target
from observability.api.prices import NewPrice, PriceSerializer
from observability.api.scores import MOST_SCORES, ScoreFilters, ScoreForm
from observability.api.spend import SpendFilters
from observability.core.budgets import Period
from observability.core.conversions import MOST_TOKENS
from observability.ingest.answers import JSON, PROTOBUF
from observability.models import AlertKind, EvaluationStatus, EvaluatorKind, Missing, ScoreSource, Severity
from observability.models.budgets import BUDGETED
from observability.selectors.metrics import GROUPINGS

FIELDS: dict[type[Field[Any, Any, Any, Any]], Any] = {
    Share: lambda _: {"type": "number", "minimum": 0, "maximum": 1},
    Number: lambda field: {"type": "number", "minimum": 0, "maximum": field.most},
    Tokens: lambda _: {"type": "integer", "minimum": 0, "maximum": MOST_TOKENS},
    DecimalField: lambda _: {"type": ["string", "number"], "examples": ["0.25"]},
    Target: lambda _: {"type": ["string", "number"], "description": "A share", "examples": ["95%", 0.95]},
    Groupings: lambda _: said(TEXT, f"Some of {', '.join(GROUPINGS)}, with commas in between"),
}
"""Of fields of our own, what each accepts."""

TRACE_ID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
SPAN_ID = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
MAYBE_TEXT, MAYBE_NUMBER, MAYBE_INTEGER = nullable(TEXT), nullable(NUMBER), nullable(INTEGER)

SCORE = members(
    id=MAYBE_TEXT,
    name=TEXT,
    value=NUMBER,
    label=MAYBE_TEXT,
    comment=MAYBE_TEXT,
    source=one_of(*ScoreSource.values),
    evaluator=MAYBE_TEXT,
    counts=said(BOOLEAN, "Whether it is the one of its name that counts for its call, which alone is evidence"),
    probability=said(MAYBE_NUMBER, "With which its call was chosen to be judged; null where it was not chosen here"),
    by_design=said(BOOLEAN, "Not chosen for what became of it: no evidence otherwise"),
    received_at=TIME,
)
ALERT = members(
    id=TEXT,
    kind=one_of(*AlertKind.values),
    cause=said(TEXT, "The same text whenever the same thing is wrong"),
    severity=one_of(*Severity.values),
    prompt=MAYBE_TEXT,
    label=MAYBE_TEXT,
    summary=TEXT,
    details=said(OBJECT, "The numbers behind it, by kind"),
    fired_at=TIME,
    seen_at=said(TIME, "When it was last found to hold"),
    notified_at=nullable(TIME),
    notices=INTEGER,
    acknowledged_at=nullable(TIME),
    acknowledged_by=MAYBE_TEXT,
    silenced_until=nullable(TIME),
    resolved_at=nullable(TIME),
)
CALL = members(
    trace_id=TRACE_ID,
    span_id=SPAN_ID,
    response_id=MAYBE_TEXT,
    prompt=MAYBE_TEXT,
    version=MAYBE_TEXT,
    label=MAYBE_TEXT,
    exposure=MAYBE_TEXT,
    provider=MAYBE_TEXT,
    request_model=MAYBE_TEXT,
    response_model=MAYBE_TEXT,
    operation=TEXT,
    stream=nullable(BOOLEAN),
    input_tokens=MAYBE_INTEGER,
    output_tokens=MAYBE_INTEGER,
    cached_tokens=MAYBE_INTEGER,
    cache_write_tokens=MAYBE_INTEGER,
    reasoning_tokens=MAYBE_INTEGER,
    ttft_ms=MAYBE_NUMBER,
    inter_token_ms=MAYBE_NUMBER,
    duration_ms=MAYBE_NUMBER,
    cost_usd=nullable(MONEY),
    cost_source=MAYBE_TEXT,
    price_version=MAYBE_TEXT,
    reported_usd=nullable(MONEY),
    attempts=INTEGER,
    finish_reason=MAYBE_TEXT,
    error=BOOLEAN,
    error_class=MAYBE_TEXT,
    user_hash=MAYBE_TEXT,
    session=MAYBE_TEXT,
    feature=MAYBE_TEXT,
    environment=MAYBE_TEXT,
    started_at=TIME,
    scores=array(ref("Score")),
)
SPENDING = members(
    calls=INTEGER,
    input_tokens=INTEGER,
    output_tokens=INTEGER,
    cost_usd=said(MONEY, "Of the calls whose cost is known"),
    unpriced_calls=INTEGER,
    unpriced_tokens=INTEGER,
)
STAGE = members(name=TEXT, spans=INTEGER, self_ms=NUMBER, share=NUMBER)
EVALUATOR_VERSION = members(
    ref=said(TEXT, "Evaluator and ordinal", examples=["faithfulness@3"]),
    ordinal=INTEGER,
    kind=one_of(*EvaluatorKind.values),
    config=said(OBJECT, "As its kind needs it, with every default"),
    template=said(MAYBE_TEXT, "Of a judge, the version that asks it; null also where the key does not reach it"),
    notes=TEXT,
    sha256=said(TEXT, "Of kind, config and template"),
    published_at=TIME,
    published_by=TEXT,
)
TIMES = members(n=INTEGER, p50=MAYBE_NUMBER, p95=MAYBE_NUMBER, p99=MAYBE_NUMBER)

SCHEMAS: dict[str, Schema] = {
    "Score": SCORE,
    "ListedScore": extended(
        SCORE,
        state=one_of("joined", "waiting", "gave_up", "by_exposure"),
        target=TEXT,
        second_target=MAYBE_TEXT,
        trace_id=nullable(TRACE_ID),
        span_id=nullable(SPAN_ID),
    ),
    "Call": said(CALL, "null is what the client did not say, and a cost that is not known"),
    "CallIds": members(items=array(members(trace_id=TRACE_ID, span_id=SPAN_ID))),
    "Recorded": members(
        accepted=said(INTEGER, "Newly recorded"),
        duplicates=said(INTEGER, "Known before"),
        waiting=said(INTEGER, "Of the accepted, those without a call yet"),
    ),
    "CallText": said(
        members(
            trace_id=TRACE_ID,
            span_id=SPAN_ID,
            input_text=MAYBE_TEXT,
            output_text=MAYBE_TEXT,
            input_sha256=MAYBE_TEXT,
            output_sha256=MAYBE_TEXT,
            kept_because=TEXT,
            stored_at=TIME,
        ),
        "The texts are null where only their hashes are kept",
    ),
    "Figures": members(
        {"version": MAYBE_TEXT, "label": MAYBE_TEXT, "environment": MAYBE_TEXT, "feature": MAYBE_TEXT}
        | {"known_version": BOOLEAN},
        start=nullable(TIME),
        prompt=MAYBE_TEXT,
        calls=INTEGER,
        errors=said(mapping(INTEGER), "Calls by class of error"),
        error_rate=MAYBE_NUMBER,
        attempts=INTEGER,
        ttft_ms=TIMES,
        latency_ms=TIMES,
        inter_token_ms=TIMES,
        input_tokens=INTEGER,
        output_tokens=INTEGER,
        cached_tokens=INTEGER,
        cache_hit_rate=said(MAYBE_NUMBER, "Of input tokens of the calls whose provider tells it"),
        reasoning_tokens=INTEGER,
        output_tokens_per_second=MAYBE_NUMBER,
        cost_usd=MONEY,
        cost_per_call_usd=nullable(MONEY),
        unpriced_calls=INTEGER,
        scores=array(
            members(
                name=TEXT,
                source=TEXT,
                n=INTEGER,
                effective_n=said(NUMBER, "How many scores of equal weight tell as much"),
                weighted=said(BOOLEAN, "Whether some scores stand for more calls than others"),
                mean=MAYBE_NUMBER,
                interval=array(MAYBE_NUMBER),
            ),
        ),
    ),
    "VersionMetrics": members(
        since=TIME,
        until=TIME,
        interval=TEXT,
        items=array(ref("Figures")),
        left_out=said(INTEGER, "How many items there are beyond the limit"),
    ),
    "Spending": SPENDING,
    "Baselines": members(
        items=array(
            members(
                prompt=TEXT,
                label=MAYBE_TEXT,
                metric=TEXT,
                state=one_of("learning", "steady", "firing"),
                now=said(MAYBE_NUMBER, "Of the last hour, or of the last 20 observations where that has fewer"),
                n=INTEGER,
                baseline=MAYBE_NUMBER,
                threshold=MAYBE_NUMBER,
                days=said(INTEGER, "That the baseline is of"),
            )
        ),
        left_out=said(INTEGER, "Labels that are not among the items"),
    ),
    "Spend": members(
        since=TIME,
        until=TIME,
        by=TEXT,
        total=ref("Spending"),
        items=array(
            extended(
                SPENDING,
                value=MAYBE_TEXT,
                days=array(extended(SPENDING, day={"type": "string", "format": "date"})),
            )
        ),
        left_out=INTEGER,
    ),
    "Evaluation": members(
        id=INTEGER,
        prompt=TEXT,
        evaluator=said(TEXT, "Its name and the ordinal of its version: `faithfulness@3`"),
        trace_id=TRACE_ID,
        span_id=SPAN_ID,
        status=one_of(*EvaluationStatus.values),
        missing=nullable(one_of(*Missing.values)),
        score=nullable(SCORE),
        probability=said(NUMBER, "With which the call was chosen"),
        by_design=said(BOOLEAN, "False for a failed call that was chosen because it failed, and so is no evidence"),
        urgent=said(BOOLEAN, "Of a rollout's call, and judged first"),
        attempts=INTEGER,
        model=MAYBE_TEXT,
        cost_usd=nullable(MONEY),
        latency_ms=MAYBE_NUMBER,
        created_at=TIME,
        next_attempt_at=nullable(TIME),
        settled_at=nullable(TIME),
    ),
    "JudgingFigures": members(
        since=TIME,
        items=array(
            members(
                prompt=TEXT,
                evaluator=TEXT,
                scored=INTEGER,
                missing=INTEGER,
                missing_by_reason=mapping(INTEGER),
                cost_usd=MONEY,
                priced=said(INTEGER, "Of how many the cost is known"),
                latency_ms=members(p50=MAYBE_NUMBER, p95=MAYBE_NUMBER),
                waiting=INTEGER,
                oldest_waiting_since=nullable(TIME),
            )
        ),
    ),
    "SpendBudget": members(
        id=INTEGER,
        dimension=one_of(*BUDGETED),
        value=said(TEXT, "Empty for each value of the dimension by itself"),
        period=one_of(*Period),
        usd=MONEY,
        active=BOOLEAN,
        created_at=TIME,
        created_by=TEXT,
        standing=members(
            values=array(
                members(
                    value=said(TEXT, "Of a user the beginning of the hash"),
                    since=TIME,
                    until=TIME,
                    spent_usd=MONEY,
                    share=said(NUMBER, "Of the budget"),
                    forecast_usd=said(nullable(MONEY), "Of the end of the period; null while too little of it is over"),
                )
            ),
            over=said(INTEGER, "How many values have spent 80 %"),
            full=said(INTEGER, "How many have spent all of it"),
        ),
    ),
    "Node": members(
        span_id=SPAN_ID,
        parent_id=nullable(SPAN_ID),
        orphan=BOOLEAN,
        name=TEXT,
        kind=ANY,
        scope=MAYBE_TEXT,
        status=one_of("unset", "ok", "error"),
        offset_ms=NUMBER,
        duration_ms=MAYBE_NUMBER,
        self_ms=NUMBER,
        call=nullable(ref("Call")),
        tells_of=nullable(members(trace_id=TRACE_ID, span_id=SPAN_ID)),
        children=array(ref("Node")),
    ),
    "Trace": members(
        trace_id=TRACE_ID,
        started_at=TIME,
        duration_ms=NUMBER,
        spans=INTEGER,
        cut=BOOLEAN,
        dominant=nullable(STAGE),
        stages=array(STAGE),
        tree=array(ref("Node")),
    ),
    "EvaluatorVersion": EVALUATOR_VERSION,
    "Evaluator": members(
        name=TEXT,
        score=said(TEXT, "The name of the scores that it gives"),
        description=TEXT,
        newest=nullable(ref("EvaluatorVersion")),
        created_at=TIME,
        created_by=TEXT,
    ),
    "Said": members(
        value=MAYBE_NUMBER,
        label=MAYBE_TEXT,
        reason=said(MAYBE_TEXT, "Why the value is what it is, or why there is none"),
        missing=said(nullable(one_of(*Missing.values)), "null where there is a value"),
        try_again=BOOLEAN,
        model=MAYBE_TEXT,
        cost_usd=nullable(MONEY),
        latency_ms=MAYBE_NUMBER,
    ),
    "Judging": members(
        evaluator=TEXT,
        score=TEXT,
        share_bp=said(INTEGER, "Of the prompt's calls, in basis points"),
        canary_share_bp=said(INTEGER, "Of a canary's calls at most"),
        active=BOOLEAN,
    ),
    "JudgingBudget": said(
        members(calls_a_day=MAYBE_INTEGER, usd_a_day=nullable(MONEY)), "In a day of UTC; null is no bound"
    ),
    "Objective": members(
        id=INTEGER,
        prompt=TEXT,
        label=TEXT,
        name=TEXT,
        metric=TEXT,
        comparison=one_of("above", "below"),
        threshold=said(NUMBER, "Of times in ms, of costs in USD"),
        target_bp=said(
            MAYBE_INTEGER, "Share of the calls that keep it, in basis points; null where a mean is promised"
        ),
        days=INTEGER,
        active=BOOLEAN,
        revision=said(INTEGER, "Grows with every change; send it back as `revision` or If-Match"),
        created_at=TIME,
        created_by=TEXT,
        status=members(
            n=said(NUMBER, "Calls of these days that were measured"),
            attained=said(MAYBE_NUMBER, "Mean of what was not bad: of a score, or the share of good calls"),
            allowed=said(NUMBER, "Mean badness that the promise allows"),
            budget_spent=said(MAYBE_NUMBER, "Share of the error budget; over 1 when the promise is broken"),
            budget_left=MAYBE_NUMBER,
            burn_rates=array(members(window_s=INTEGER, n=NUMBER, burn_rate=MAYBE_NUMBER)),
            burning=nullable(one_of("critical", "warning")),
            exhausted_at=said(nullable(TIME), "When the budget is gone at the present rate; null for never"),
        ),
    ),
    "UnpricedModels": members(
        items=array(
            members(provider=MAYBE_TEXT, model=MAYBE_TEXT, calls=INTEGER, tokens=INTEGER, last_seen=TIME),
        )
    ),
    "Alert": ALERT,
    "LangfuseErrors": members(accepted=INTEGER, rejected=INTEGER, errors=array(members(message=TEXT))),
    "LangfuseIngested": members(
        successes=array(members(id=ANY, status=INTEGER)),
        errors=array(members(id=ANY, status=INTEGER, message=TEXT, error=TEXT)),
    ),
    "ExportResponse": members(
        {"partialSuccess": said(OBJECT, "How many were rejected, and why; not there when none were")},
    ),
    "RpcStatus": members(code=said(INTEGER, "google.rpc.Code"), message=TEXT),
}

PARAMETERS: dict[str, Schema] = {
    "trace_id": TEXT,
    "span_id": TEXT,
    "override_id": {**INTEGER, "minimum": 0},
    "evaluator": said(TEXT, "Its name", examples=["faithfulness"]),
    "ordinal": {**INTEGER, "minimum": 0},
    "budget_id": {**INTEGER, "minimum": 0},
    "objective_id": {**INTEGER, "minimum": 0},
    "alert_id": TEXT,
}
"""Of addresses."""

OBJECTIVES = "/api/v1/objectives"
OBJECTIVE = f"{OBJECTIVES}/{{objective_id}}"
NO_OBJECTIVE = {404: ("unknown_objective",)}

BINARY: Schema = {"description": "OTLP, as protobuf or as JSON"}
OF_A_PROMPT: Mapping[int, Sequence[str]] = {404: ("unknown_prompt",), 410: ("prompt_archived",)}
OF_A_WHOLE_PROMPT: Mapping[int, Sequence[str]] = {403: ("beyond_reach",), **OF_A_PROMPT}
ONE_OR_MANY_LANGFUSE = {"oneOf": [OBJECT, {**array(ANY), "minItems": 1, "maxItems": MOST_SCORES}]}


def _export(what: str) -> Operation:
    return Operation(
        f"Take in OTLP {what}",
        ref("ExportResponse"),
        description="The answer is in the encoding of the request; a refusal is a google.rpc.Status.",
        body=BINARY,
        media=(JSON, PROTOBUF),
        scope="ingest",
        refused=ref("RpcStatus"),
        refusals={400: (), 401: (), 403: (), 413: (), 415: (), 503: ()},
    )


OPERATIONS: Operations = {
    **{
        f"POST {prefix}/v1/{signal}": _export(signal)
        for prefix in ("", "/otel", "/api/public/otel")
        for signal in ("traces", "logs", "metrics")
    },
    "GET /api/v1/calls": Operation("Calls, newest first", ref("Call"), pages=True, query=CallFilters),
    "POST /api/v1/calls": Operation(
        "Store one call, or up to 1000; all or none",
        ref("CallIds"),
        body=CallForm,
        many=MOST_CALLS,
        example={"id": "call-1", "prompt": "order-extractor", "version": "1.0", "duration_ms": 840.5},
        refusals={503: ("busy",)},
    ),
    "GET /api/v1/calls/{trace_id}/{span_id}/text": Operation(
        "What is stored of a call's texts", ref("CallText"), refusals={404: ("text_not_found",)}
    ),
    "GET /api/v1/scores": Operation("Scores, newest first", ref("ListedScore"), pages=True, query=ScoreFilters),
    "POST /api/v1/scores": Operation(
        "Record one score, or up to 1000; all or none",
        ref("Recorded"),
        body=ScoreForm,
        many=MOST_SCORES,
        example={"response_id": "chatcmpl-1", "name": "hallucination", "value": 1, "source": "llm_judge"},
        refusals={503: ("busy",)},
    ),
    "POST /api/public/scores": Operation(
        "Record scores as Langfuse's SDKs (5) send them",
        members(id=MAYBE_TEXT),
        body=ONE_OR_MANY_LANGFUSE,
        more_answers={202: members(message=TEXT), 207: ref("LangfuseErrors")},
    ),
    "POST /api/public/ingestion": Operation(
        "Record scores as Langfuse's SDKs before 5 send them",
        ref("LangfuseIngested"),
        status=207,
        body=loose(members(batch={**array(ANY), "minItems": 1, "maxItems": MOST_SCORES})),
    ),
    "GET /api/v1/metrics/versions": Operation(
        "Figures of calls by version, label, environment or feature", ref("VersionMetrics"), query=MetricFilters
    ),
    "GET /api/v1/baselines": Operation(
        "Metrics of a prompt beside their rolling seven days", ref("Baselines"), query=BaselineFilters
    ),
    "GET /api/v1/spend": Operation("What calls cost, by who or what spent it", ref("Spend"), query=SpendFilters),
    "GET /api/v1/evaluations": Operation(
        "What evaluators were asked about, the newest first", ref("Evaluation"), pages=True, query=EvaluationFilters
    ),
    "GET /api/v1/judging": Operation(
        "What evaluators judged, missed and cost, and what waits", ref("JudgingFigures"), query=JudgingFilters
    ),
    "GET /api/v1/spend-budgets": Operation("Soft budgets as they stand", ref("SpendBudget"), pages=True),
    "POST /api/v1/spend-budgets": Operation(
        "Add a soft budget",
        ref("SpendBudget"),
        status=201,
        body=NewBudget,
        example={"dimension": "user", "period": "daily", "usd": "5"},
        refusals={409: ("budget_exists",)},
    ),
    "GET /api/v1/spend-budgets/{budget_id}": Operation(
        "A soft budget as it stands", ref("SpendBudget"), refusals={404: ("unknown_budget",)}
    ),
    "PATCH /api/v1/spend-budgets/{budget_id}": Operation(
        "Raise, lower, stop or resume a soft budget",
        ref("SpendBudget"),
        body=BudgetChange,
        refusals={404: ("unknown_budget",)},
    ),
    "DELETE /api/v1/spend-budgets/{budget_id}": Operation(
        "Remove a soft budget", status=204, refusals={404: ("unknown_budget",)}
    ),
    "GET /api/v1/traces/{trace_id}": Operation(
        "A trace's spans, each inside its parent", ref("Trace"), refusals={404: ("unknown_trace",)}
    ),
    f"GET {OBJECTIVES}": Operation(
        "Objectives and how they do, the last made first", ref("Objective"), pages=True, query=ObjectiveFilters
    ),
    f"POST {OBJECTIVES}": Operation(
        "Add an objective",
        ref("Objective"),
        status=201,
        body=NewObjective,
        example={
            "prompt": "order-extractor",
            "name": "faithfulness",
            "metric": "faithfulness",
            "comparison": "above",
            "threshold": 0.9,
        },
        answer_headers=ETAG,
        refusals={404: ("unknown_prompt",), 409: ("objective_exists",), 410: ("prompt_archived",)},
    ),
    f"GET {OBJECTIVE}": Operation(
        "An objective and how it does", ref("Objective"), answer_headers=ETAG, refusals=NO_OBJECTIVE
    ),
    f"PATCH {OBJECTIVE}": Operation(
        "Change what is promised, or whether it is watched",
        ref("Objective"),
        body=ObjectiveChanges,
        example={"threshold": 0.92},
        headers=IF_MATCH,
        answer_headers=ETAG,
        refusals={**NO_OBJECTIVE, 400: ("malformed_if_match", "revisions_differ"), 409: ("stale_objective",)},
    ),
    f"DELETE {OBJECTIVE}": Operation(
        "Delete an objective",
        status=204,
        headers=IF_MATCH,
        refusals={**NO_OBJECTIVE, 400: ("malformed_if_match",), 409: ("stale_objective",)},
    ),
    "GET /api/v1/alerts": Operation("Alerts, newest first", ref("Alert"), pages=True, query=AlertFilters),
    "GET /api/v1/alerts/{alert_id}": Operation("One alert", ref("Alert"), refusals={404: ("unknown_alert",)}),
    "POST /api/v1/alerts/{alert_id}/acknowledge": Operation(
        "Say that somebody is at it: nothing is repeated of it",
        ref("Alert"),
        body=Reason,
        refusals={404: ("unknown_alert",), 409: ("alert_resolved", "alert_acknowledged")},
    ),
    "POST /api/v1/alerts/{alert_id}/silence": Operation(
        "Tell nobody of its cause for a while",
        ref("Alert"),
        body=NewSilence,
        example={"until": "2026-11-27T08:00:00Z", "reason": "the provider is told"},
        refusals={404: ("unknown_alert",)},
    ),
    "POST /api/v1/alerts/{alert_id}/unsilence": Operation(
        "Tell of its cause again",
        ref("Alert"),
        body=Reason,
        refusals={404: ("unknown_alert",), 409: ("not_silenced",)},
    ),
    "GET /api/v1/evaluators": Operation("Evaluators, the last made first", ref("Evaluator"), pages=True),
    "POST /api/v1/evaluators": Operation(
        "Make an evaluator",
        ref("Evaluator"),
        status=201,
        body=EvaluatorForm,
        example={"name": "faithfulness", "score": "faithfulness"},
        refusals={403: ("beyond_reach",), 409: ("evaluator_exists",)},
    ),
    "GET /api/v1/evaluators/{evaluator}": Operation(
        "An evaluator with its newest version", ref("Evaluator"), refusals={404: ("unknown_evaluator",)}
    ),
    "GET /api/v1/evaluators/{evaluator}/versions": Operation(
        "Its versions, newest first", ref("EvaluatorVersion"), pages=True, refusals={404: ("unknown_evaluator",)}
    ),
    "POST /api/v1/evaluators/{evaluator}/versions": Operation(
        "Publish its next version",
        ref("EvaluatorVersion"),
        status=201,
        body=EvaluatorVersionForm,
        example={
            "kind": "judge",
            "config": {"model": "gpt-4o-mini"},
            "template": "judge-faithfulness@1.0",
            "notes": "as discussed",
        },
        refusals={
            403: ("beyond_reach",),
            404: ("unknown_evaluator",),
            409: ("evaluator_judges", "evaluator_unchanged"),
        },
    ),
    "GET /api/v1/evaluators/{evaluator}/versions/{ordinal}": Operation(
        "One of its versions",
        ref("EvaluatorVersion"),
        refusals={404: ("unknown_evaluator", "unknown_evaluator_version")},
    ),
    "POST /api/v1/evaluators/{evaluator}/try": Operation(
        "What a version says of given texts, of which nothing is stored",
        ref("Said"),
        description="A judge is asked for it. With kind, config and template: what such a version would say.",
        body=TryForm,
        example={"input": "Who wrote Emma?", "output": "Jane Austen", "documents": ["Emma, by Jane Austen"]},
        refusals={403: ("beyond_reach",), 404: ("unknown_evaluator", "unknown_evaluator_version")},
    ),
    "GET /api/v1/prompts/{name}/judgings": Operation(
        "What judges the prompt", ref("Judging"), pages=True, refusals=OF_A_PROMPT
    ),
    "PUT /api/v1/prompts/{name}/judgings/{evaluator}": Operation(
        "Have an evaluator judge the prompt, or otherwise than before",
        ref("Judging"),
        description="What is not told stays as it is, or is the default: 200 and 10000 basis points, active.",
        body=JudgingForm,
        example={"share_bp": 200},
        refusals={
            **OF_A_WHOLE_PROMPT,
            404: ("unknown_evaluator", "unknown_prompt"),
            409: ("evaluator_has_no_version", "evaluator_is_external", "prompt_asks_judge", "score_has_evaluator"),
        },
    ),
    "DELETE /api/v1/prompts/{name}/judgings/{evaluator}": Operation(
        "Have it judge the prompt no more; its scores stay",
        status=204,
        refusals={**OF_A_WHOLE_PROMPT, 404: ("unknown_evaluator", "unknown_judging", "unknown_prompt")},
    ),
    "GET /api/v1/prompts/{name}/judging-budget": Operation(
        "What judging the prompt may cost in a day", ref("JudgingBudget"), refusals=OF_A_PROMPT
    ),
    "PUT /api/v1/prompts/{name}/judging-budget": Operation(
        "Set what judging the prompt may cost in a day",
        ref("JudgingBudget"),
        body=BudgetForm,
        example={"calls_a_day": 5000, "usd_a_day": "5"},
        refusals=OF_A_WHOLE_PROMPT,
    ),
    "GET /api/v1/prices": Operation("Prices of your own, the last made first", PriceSerializer, pages=True),
    "POST /api/v1/prices": Operation(
        "Add a price of your own",
        PriceSerializer,
        status=201,
        body=NewPrice,
        example={"pattern": "house-model-*", "effective_from": "2026-01-01T00:00:00Z", "input": "1", "output": "4"},
        refusals={409: ("price_exists",)},
    ),
    "GET /api/v1/prices/unpriced": Operation("Models whose calls have no cost", ref("UnpricedModels")),
    "DELETE /api/v1/prices/{override_id}": Operation("Remove a price", status=204, refusals={404: ("unknown_price",)}),
}

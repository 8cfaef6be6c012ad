"""Addresses of what happened: traces, logs, calls and scores in; calls, scores, prices, figures and budgets out."""

from django.urls import path, re_path

from observability.api.alerts import Acknowledgement, AlertDetail, AlertList, Silencing, Unsilencing
from observability.api.baselines import BaselinesView
from observability.api.budgets import BudgetsView, BudgetView
from observability.api.calls import CallsView
from observability.api.evaluators import (
    EvaluatorsView,
    EvaluatorTryView,
    EvaluatorVersionsView,
    EvaluatorVersionView,
    EvaluatorView,
    JudgingBudgetView,
    JudgingsView,
    JudgingView,
)
from observability.api.judging import EvaluationsView, JudgingFiguresView
from observability.api.langfuse import LangfuseIngestion, LangfuseScores
from observability.api.metrics import VersionMetricsView
from observability.api.objectives import ObjectivesView, ObjectiveView
from observability.api.prices import PricesView, PriceView, UnpricedView
from observability.api.scores import ScoresView
from observability.api.spend import SpendView
from observability.api.texts import CallTextView
from observability.api.traces import TraceView
from observability.ingest.logs import logs
from observability.ingest.metrics import metrics
from observability.ingest.traces import traces

OTLP_PREFIXES = ("", "otel/", "api/public/otel/")  # the others as clients of Langfuse and of proxies have them

urlpatterns = [
    *(
        path(f"{prefix}v1/{signal}", view)
        for prefix in OTLP_PREFIXES
        for signal, view in [("traces", traces), ("logs", logs), ("metrics", metrics)]
    ),
    path("api/public/scores", LangfuseScores.as_view()),
    path("api/public/ingestion", LangfuseIngestion.as_view()),
    path("api/v1/scores", ScoresView.as_view()),
    path("api/v1/calls", CallsView.as_view()),
    path("api/v1/calls/<str:trace_id>/<str:span_id>/text", CallTextView.as_view()),
    path("api/v1/metrics/versions", VersionMetricsView.as_view()),
    path("api/v1/baselines", BaselinesView.as_view()),
    path("api/v1/spend", SpendView.as_view()),
    path("api/v1/evaluations", EvaluationsView.as_view()),
    path("api/v1/judging", JudgingFiguresView.as_view()),
    path("api/v1/spend-budgets", BudgetsView.as_view()),
    path("api/v1/spend-budgets/<int:budget_id>", BudgetView.as_view()),
    re_path(r"^api/v1/traces/(?P<trace_id>[0-9a-fA-F]{32})\Z", TraceView.as_view()),
    path("api/v1/objectives", ObjectivesView.as_view()),
    path("api/v1/objectives/<int:objective_id>", ObjectiveView.as_view()),
    path("api/v1/alerts", AlertList.as_view()),
    path("api/v1/alerts/<str:alert_id>", AlertDetail.as_view()),
    path("api/v1/alerts/<str:alert_id>/acknowledge", Acknowledgement.as_view()),
    path("api/v1/alerts/<str:alert_id>/silence", Silencing.as_view()),
    path("api/v1/alerts/<str:alert_id>/unsilence", Unsilencing.as_view()),
    path("api/v1/evaluators", EvaluatorsView.as_view()),
    path("api/v1/evaluators/<str:evaluator>", EvaluatorView.as_view()),
    path("api/v1/evaluators/<str:evaluator>/versions", EvaluatorVersionsView.as_view()),
    path("api/v1/evaluators/<str:evaluator>/versions/<int:ordinal>", EvaluatorVersionView.as_view()),
    path("api/v1/evaluators/<str:evaluator>/try", EvaluatorTryView.as_view()),
    path("api/v1/prompts/<str:name>/judgings", JudgingsView.as_view()),
    path("api/v1/prompts/<str:name>/judgings/<str:evaluator>", JudgingView.as_view()),
    path("api/v1/prompts/<str:name>/judging-budget", JudgingBudgetView.as_view()),
    path("api/v1/prices", PricesView.as_view()),
    path("api/v1/prices/unpriced", UnpricedView.as_view()),
    path("api/v1/prices/<int:override_id>", PriceView.as_view()),
]

"""Addresses of what happened: traces, logs, calls and scores in, calls and scores out."""

from django.urls import path

from observability.api.calls import CallsView
from observability.api.langfuse import LangfuseIngestion, LangfuseScores
from observability.api.scores import ScoresView
from observability.ingest import views
from observability.ingest.logs import logs
from observability.ingest.metrics import metrics

OTLP_PREFIXES = ("", "otel/", "api/public/otel/")  # the others as clients of Langfuse and of proxies have them

urlpatterns = [
    *(
        path(f"{prefix}v1/{signal}", view)
        for prefix in OTLP_PREFIXES
        for signal, view in [("traces", views.traces), ("logs", logs), ("metrics", metrics)]
    ),
    path("api/public/scores", LangfuseScores.as_view()),
    path("api/public/ingestion", LangfuseIngestion.as_view()),
    path("api/v1/scores", ScoresView.as_view()),
    path("api/v1/calls", CallsView.as_view()),
]

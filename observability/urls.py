"""Addresses of what happened: traces and scores in, calls and figures out."""

from django.urls import path, re_path

from observability.api.calls import CallsView
from observability.api.metrics import VersionMetricsView
from observability.api.scores import ScoresView
from observability.api.spend import SpendView
from observability.api.texts import CallTextView
from observability.api.traces import TraceView
from observability.ingest import views

urlpatterns = [
    path("v1/traces", views.traces),
    path("api/v1/scores", ScoresView.as_view()),
    path("api/v1/calls", CallsView.as_view()),
    path("api/v1/calls/<str:trace_id>/<str:span_id>/text", CallTextView.as_view()),
    path("api/v1/metrics/versions", VersionMetricsView.as_view()),
    path("api/v1/spend", SpendView.as_view()),
    re_path(r"^api/v1/traces/(?P<trace_id>[0-9a-fA-F]{32})\Z", TraceView.as_view()),
]

"""Addresses of what happened: traces and scores in, calls out."""

from django.urls import path

from observability.api.calls import CallsView
from observability.api.scores import ScoresView
from observability.api.texts import CallTextView
from observability.ingest import views

urlpatterns = [
    path("v1/traces", views.traces),
    path("api/v1/scores", ScoresView.as_view()),
    path("api/v1/calls", CallsView.as_view()),
    path("api/v1/calls/<str:trace_id>/<str:span_id>/text", CallTextView.as_view()),
]

"""Addresses of what happened: traces and scores in, calls out."""

from django.urls import path

from observability import api
from observability.ingest import views

urlpatterns = [
    path("v1/traces", views.traces),
    path("api/v1/scores", api.ScoresView.as_view()),
    path("api/v1/calls", api.CallsView.as_view()),
]

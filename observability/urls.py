"""Addresses of what happened: traces and scores in, calls and prices out."""

from django.urls import path

from observability.api.calls import CallsView
from observability.api.prices import PricesView, PriceView, UnpricedView
from observability.api.scores import ScoresView
from observability.ingest import views

urlpatterns = [
    path("v1/traces", views.traces),
    path("api/v1/scores", ScoresView.as_view()),
    path("api/v1/calls", CallsView.as_view()),
    path("api/v1/prices", PricesView.as_view()),
    path("api/v1/prices/unpriced", UnpricedView.as_view()),
    path("api/v1/prices/<int:override_id>", PriceView.as_view()),
]

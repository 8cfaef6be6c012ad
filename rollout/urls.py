from django.urls import path, re_path

from rollout import api, api_events, pages, services

urlpatterns = [
    path("", pages.status_page, name="status_page"),
    path("rollouts/<slug:rollout_id>", pages.rollout_page, name="rollout_page"),
    path("rollouts/<slug:rollout_id>/<slug:act>", pages.rollout_act, name="rollout_act"),
    path("api/v1/rollouts", api.RolloutList.as_view()),
    path("api/v1/rollouts/plan", api.RolloutForecast.as_view()),
    path("api/v1/rollouts/<slug:rollout_id>", api.RolloutDetail.as_view()),
    path("api/v1/rollouts/<slug:rollout_id>/verdicts", api.VerdictList.as_view()),
    path("api/v1/rollouts/<slug:rollout_id>/transitions", api.TransitionList.as_view()),
    path("api/v1/events", api_events.EventList.as_view()),
    path("api/v1/events/<str:event_id>", api_events.EventDetail.as_view()),
    path("api/v1/data-quality", api.DataQuality.as_view()),
    re_path(
        rf"^api/v1/rollouts/(?P<rollout_id>[-a-zA-Z0-9_]+)/(?P<action>{'|'.join(services.ACTIONS)})$",
        api.RolloutAction.as_view(),
    ),
]

from django.urls import path, re_path

from rollout import api, api_events, pages, services

urlpatterns = [
    path("", pages.status_page, name="status_page"),
    path("rollouts/<slug:rollout_id>", pages.rollout_page, name="rollout_page"),
    path("rollouts/<slug:rollout_id>/<slug:act>", pages.rollout_act, name="rollout_act"),
    path("alerts", pages.alerts_page, name="alerts_page"),
    path("alerts/<slug:alert_id>", pages.alert_page, name="alert_page"),
    path("alerts/<slug:alert_id>/<slug:act>", pages.alert_act, name="alert_act"),
    path("insights/prompts", pages.prompts_page, name="prompts_page"),
    path("insights/prompts/<str:name>", pages.prompt_page, name="prompt_page"),
    path("insights/spend", pages.spend_page, name="spend_page"),
    path("insights/judging", pages.judging_page, name="judging_page"),
    re_path(r"^insights/traces/(?P<trace_id>[0-9a-fA-F]{32})\Z", pages.trace_page, name="trace_page"),
    path("insights/events", pages.events_page, name="events_page"),
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

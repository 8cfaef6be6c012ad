from django.urls import path, re_path

from rollout import api

urlpatterns = [
    path("api/v1/rollouts", api.RolloutList.as_view()),
    path("api/v1/rollouts/<str:rollout_id>", api.RolloutDetail.as_view()),
    path("api/v1/rollouts/<str:rollout_id>/verdicts", api.VerdictList.as_view()),
    path("api/v1/rollouts/<str:rollout_id>/transitions", api.TransitionList.as_view()),
    re_path(
        rf"^api/v1/rollouts/(?P<rollout_id>[^/]+)/(?P<action>{'|'.join(api.ACTIONS)})$", api.RolloutAction.as_view()
    ),
]

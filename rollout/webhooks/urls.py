from django.urls import path

from rollout.webhooks import api

urlpatterns = [
    path("api/v1/webhooks", api.Webhooks.as_view()),
    path("api/v1/webhooks/<str:webhook_id>", api.Webhook.as_view()),
    path("api/v1/webhooks/<str:webhook_id>/enable", api.Enable.as_view()),
    path("api/v1/webhooks/<str:webhook_id>/rotate", api.Rotate.as_view()),
    path("api/v1/webhooks/<str:webhook_id>/replay", api.ReplayAll.as_view()),
    path("api/v1/webhooks/<str:webhook_id>/deliveries", api.Deliveries.as_view()),
    path("api/v1/webhooks/<str:webhook_id>/deliveries/<str:delivery_id>/replay", api.Replay.as_view()),
]

"""What is served and why: rollouts, the evidence they were judged on, and the webhooks that tell of them."""

from rollout.models.decision import Batch, Metric, Outlook, Verdict
from rollout.models.rollouts import ACTIVE, HoldReason, Rollout, Status, Transition
from rollout.models.webhooks import (
    DISABLED_BY,
    DeadReason,
    Delivery,
    DeliveryAttempt,
    DeliveryStatus,
    FanOut,
    WebhookEndpoint,
    WebhookFormat,
)
from rollout.models.work import Heartbeat

__all__ = [
    "ACTIVE",
    "DISABLED_BY",
    "Batch",
    "DeadReason",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryStatus",
    "FanOut",
    "Heartbeat",
    "HoldReason",
    "Metric",
    "Outlook",
    "Rollout",
    "Status",
    "Transition",
    "Verdict",
    "WebhookEndpoint",
    "WebhookFormat",
]

"""What is served and why: rollouts, the evidence they were judged on, and the webhooks that tell of them."""

from rollout.models.decision import Batch, Metric, Verdict
from rollout.models.rollouts import ACTIVE, HoldReason, Rollout, Status, Transition
from rollout.models.webhooks import Delivery, DeliveryAttempt, DeliveryStatus, WebhookEndpoint

__all__ = [
    "ACTIVE",
    "Batch",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryStatus",
    "HoldReason",
    "Metric",
    "Rollout",
    "Status",
    "Transition",
    "Verdict",
    "WebhookEndpoint",
]

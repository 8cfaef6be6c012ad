"""The admin of rollouts and webhooks: everything is shown, and changed by the services alone."""

from rollout.admin.deliveries import DeliveryAdmin
from rollout.admin.rollouts import RolloutAdmin, VerdictAdmin
from rollout.admin.versions import RolledOutPromptAdmin, UsedVersionAdmin
from rollout.admin.webhooks import WebhookEndpointAdmin

__all__ = [
    "DeliveryAdmin",
    "RolledOutPromptAdmin",
    "RolloutAdmin",
    "UsedVersionAdmin",
    "VerdictAdmin",
    "WebhookEndpointAdmin",
]

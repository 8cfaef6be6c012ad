"""How a worker is woken for a delivery. A wake-up may be lost, late or double: the delivery's row is the truth."""

from django_q.brokers import get_broker
from django_q.tasks import async_task


def wake_worker(delivery_id: str) -> None:
    """Have a worker try the delivery. Inside a transaction it takes effect with the commit, or never."""
    async_task("rollout.webhooks.sender.attempt", delivery_id)


def wake_ups_wait() -> bool:
    """Whether the workers have not yet come to all that they were woken for."""
    return bool(get_broker().queue_size())

"""How a webhook endpoint does, in words: whether it delivers, since when it does not, and what waits for it."""

from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from rollout.formats import count, moment


def health_in_words(endpoint: Any, at: datetime) -> SafeString:
    """endpoint: with its counts (rollout.webhooks.health), of what is pending and dead."""
    waiting = [f"{count(n)} {what}" for n, what in ((endpoint.pending, "pending"), (endpoint.dead, "dead")) if n]
    return format_html("{}{}", _state(endpoint, at), "".join(f", {words}" for words in waiting))


def _state(endpoint: Any, at: datetime) -> SafeString | str:
    if endpoint.disabled_at:
        return format_html("disabled: {}", endpoint.disabled_reason)
    if endpoint.failing_since:
        attempts = endpoint.consecutive_failures
        return format_html(
            "failing since {} UTC, {} attempt{}",
            moment(endpoint.failing_since, at),
            count(attempts),
            "" if attempts == 1 else "s",
        )
    return "delivers" if endpoint.last_success_at else "nothing was sent yet"

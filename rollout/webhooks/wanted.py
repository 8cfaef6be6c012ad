"""What an endpoint may ask for: an address that can be sent to, event types that there are, a known format."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from django.conf import settings

from common import outbound
from common.errors import Invalid
from registry.events import EVENT_TYPES
from rollout.models import WebhookFormat

MAX_URL_LENGTH = 2000


def check_url(url: str) -> None:
    """Raises Invalid. Asks no name server: what a name resolves to is checked whenever it is connected to."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        usable = False
    if not usable or len(url) > MAX_URL_LENGTH or not all("!" <= character <= "~" for character in url):
        raise Invalid.field("url", f"expected an http or https address of at most {MAX_URL_LENGTH} ASCII characters")
    if "@" in parts.netloc:
        raise Invalid.field("url", "expected an address without a user name or password: it is shown to others")
    try:
        outbound.check_spelling(parts.hostname or "", settings.WEBHOOK_ALLOW)
    except outbound.Refused as refused:
        raise Invalid.field("url", str(refused), code="address_refused") from refused


def check_events(events: Sequence[str]) -> None:
    if unknown := sorted(set(events) - set(EVENT_TYPES)):
        raise Invalid.field("events", f"expected some of {', '.join(EVENT_TYPES)}; got {', '.join(unknown)}")


def check_format(written: str) -> None:
    if written not in WebhookFormat.values:
        raise Invalid.field("format", f"expected {' or '.join(WebhookFormat.values)}, got {written}")

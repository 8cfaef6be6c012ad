"""System checks: settings that are each in order but wrong together.

`manage.py check` shows them and `manage.py serve` begins with them; an error stops it, a warning is printed. Django's
own, which load all the code, are for developers.
"""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django.db import connection

from config import env

SETTINGS = "settings"
"""The tag of these checks."""

LOCAL_HOSTS = {"localhost", "127.0.0.1", "[::1]"}
SHORTEST_SECRET_KEY = 32  # characters; 32 random bytes would be 43 in base 64


@register(SETTINGS)
def check_secret_key(**kwargs: Any) -> list[CheckMessage]:
    if len(settings.SECRET_KEY) >= SHORTEST_SECRET_KEY:
        return []
    return [
        Error(
            f"SERINUS_SECRET_KEY is shorter than {SHORTEST_SECRET_KEY} characters, so sessions could be forged.",
            hint="Leave it unset to have one made in the data folder.",
            id="serinus.E001",
        )
    ]


@register(SETTINGS)
def check_shared_secret_key(**kwargs: Any) -> list[CheckMessage]:
    """Tasks are signed with it: another host, or another data folder, would take them and could not read them."""
    if connection.vendor == "sqlite" or env.text("SERINUS_SECRET_KEY"):
        return []
    return [
        checks.Warning(
            "SERINUS_SECRET_KEY is not set, while the database may be used from several hosts.",
            hint="Set it to what is in the file secret_key of the data folder, on all of them.",
            id="serinus.W004",
        )
    ]


@register(SETTINGS)
def check_body_limits(**kwargs: Any) -> list[CheckMessage]:
    if settings.MAX_BODY_BYTES <= settings.MAX_DECOMPRESSED_BYTES:
        return []
    return [
        Error(
            "SERINUS_MAX_BODY_BYTES is larger than SERINUS_MAX_DECOMPRESSED_BYTES, so it could never be reached.",
            id="serinus.E002",
        )
    ]


@register(SETTINGS)
def check_exposure(**kwargs: Any) -> list[CheckMessage]:
    """What is fine on one's own machine and a mistake where others can reach it."""
    others = [host for host in settings.ALLOWED_HOSTS if host not in LOCAL_HOSTS]
    if not others:
        return []
    at = f"while SERINUS_ALLOWED_HOSTS names {', '.join(others)}"
    warnings: list[CheckMessage] = []
    if settings.STATUS_PAGES == "open":
        warnings.append(
            checks.Warning(
                f"The status pages are open to everyone {at}.",
                hint="SERINUS_STATUS_PAGES=login asks for a login.",
                id="serinus.W001",
            )
        )
    if settings.DEBUG:
        warnings.append(checks.Warning(f"SERINUS_DEBUG shows settings and source {at}.", id="serinus.W002"))
    if urlsplit(settings.BASE_URL).hostname in {"localhost", "127.0.0.1", "::1"}:
        warnings.append(
            checks.Warning(f"SERINUS_BASE_URL, to which webhooks and pages link, is local {at}.", id="serinus.W003")
        )
    return warnings

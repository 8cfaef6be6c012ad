"""Settings from the environment.

`SERINUS_X` is read from the variable itself or, so that secrets can be mounted as files, from the file that
`SERINUS_X_FILE` names. A value that cannot be used raises ImproperlyConfigured with the name and what was expected.
"""

import json
import os
import secrets
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from common.outbound import Allowed, read_allowed
from observability.core.scrubbing import OwnPattern, own_patterns
from observability.core.shares import read_share_bp
from rollout.core.plan import read_duration_s

LONGEST_DURATION = timedelta(days=36_500)


def text(name: str, default: str = "") -> str:
    """The variable's value, or that of the file named by NAME_FILE, without surrounding white space."""
    if file_name := os.environ.get(f"{name}_FILE"):
        try:
            return Path(file_name).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE: cannot read {file_name!r}: {error.strerror}") from error
    return os.environ.get(name, default).strip()


def flag(name: str, *, default: bool) -> bool:
    value = text(name, "true" if default else "false").lower()
    if value not in {"true", "false", "1", "0"}:
        raise ImproperlyConfigured(f"{name}: expected true or false, got {value!r}")
    return value in {"true", "1"}


def integer(name: str, default: int, *, least: int = 0) -> int:
    value = text(name, str(default))
    if not value.isascii() or not value.isdigit() or int(value) < least:
        raise ImproperlyConfigured(f"{name}: expected a whole number of at least {least}, got {value!r}")
    return int(value)


def dollars(name: str, default: str) -> Decimal:
    value = text(name, default)
    try:
        usd = Decimal(value)
    except InvalidOperation:
        usd = Decimal("NaN")
    if not usd.is_finite() or usd < 0:
        raise ImproperlyConfigured(f"{name}: expected an amount in USD such as 5 or 0.50, got {value!r}")
    return usd


def share_bp(name: str, default: str) -> int:
    """A share such as `5%` or `0.05`, in basis points."""
    try:
        return read_share_bp(text(name, default))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from error


def duration(name: str, default: str, *, least: str = "1s") -> timedelta:
    """A duration written `90s`, `15m`, `24h` or `14d`, as in plans, of at least that much."""
    try:
        seconds = read_duration_s(text(name, default))
        found = timedelta(seconds=seconds)
    except (ValueError, OverflowError) as error:
        raise ImproperlyConfigured(f"{name}: {error}") from error
    if seconds < read_duration_s(least) or found > LONGEST_DURATION:
        raise ImproperlyConfigured(f"{name}: expected {least} to {LONGEST_DURATION.days}d, got {text(name, default)!r}")
    return found


def patterns(name: str) -> tuple[OwnPattern, ...]:
    """A JSON object of RE2 patterns by the name of what they find."""
    try:
        written = json.loads(text(name, "{}"))
    except ValueError:
        written = None
    if not isinstance(written, dict) or not all(isinstance(pattern, str) for pattern in written.values()):
        raise ImproperlyConfigured(f'{name}: expected a JSON object such as {{"customer": "C-[0-9]{{6}}"}}')
    try:
        return own_patterns(written)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: expected RE2 patterns by name; {error}") from error


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list, without empty items."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def networks(name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """IP addresses and networks such as `10.0.0.0/8`, separated by commas."""
    try:
        return tuple(ip_network(word) for word in words(name))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: expected addresses or networks such as 10.0.0.0/8: {error}") from error


def reachable(name: str) -> Allowed:
    """Networks, addresses and host names, separated by commas."""
    try:
        return read_allowed(words(name))
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name}: expected networks and hosts such as 10.1.0.0/16,hooks.lan; {error}"
        ) from error


def one_of(name: str, choices: tuple[str, ...]) -> str:
    """One of the choices; the first is the default."""
    value = text(name, choices[0])
    if value not in choices:
        raise ImproperlyConfigured(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
    return value


def address(name: str, default: str) -> str:
    """An http or https address such as `https://serinus.example.org`, without a slash at its end."""
    value = text(name, default).rstrip("/")
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(character in value for character in " \t\n?#@"):
        raise ImproperlyConfigured(f"{name}: expected an address such as https://serinus.example.org, got {value!r}")
    return value


def optional_address(name: str) -> str:
    """An address as above, or nothing."""
    return address(name, "") if text(name) else ""


def postgres(name: str, **options: Any) -> dict[str, Any] | None:
    """Django's settings of the PostgreSQL that the variable's address names, or None without one."""
    if not (url := text(name)):
        return None
    try:
        settings = dict(dj_database_url.parse(url, **options))
    except ValueError:  # its text may hold a part of the password
        settings = {}
    if settings.get("ENGINE") != "django.db.backends.postgresql":
        raise ImproperlyConfigured(f"{name}: expected postgres://user:password@host:port/name, percent-encoded")
    return settings


def data_folder() -> Path:
    return Path(text("SERINUS_DATA_DIR", "./var")).resolve()


def writable(folder: Path) -> Path:
    """The data folder, made for its owner alone if it is missing, in which files can now be written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"SERINUS_DATA_DIR: cannot make {str(folder)!r}: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"SERINUS_DATA_DIR: cannot write in {str(folder)!r}")
    return folder


def secret_key(folder: Path) -> str:
    """SERINUS_SECRET_KEY, or a random key made once and kept in the data folder, readable by its owner only.

    The file appears complete or not at all, so that processes which start together agree on one key.
    """
    if key := text("SERINUS_SECRET_KEY"):
        return key
    path = folder / "secret_key"
    if not path.exists():
        with NamedTemporaryFile("w", dir=writable(folder), encoding="utf-8") as file, suppress(FileExistsError):
            file.write(secrets.token_urlsafe(50))
            file.flush()
            path.hardlink_to(file.name)
    return path.read_text(encoding="utf-8")

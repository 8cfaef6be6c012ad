"""Where the client's options come from: the argument, else the environment, checked before anything is begun."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from serinus.errors import InvalidOption


def url_of(given: str | None) -> str:
    """Raises InvalidOption when there is none."""
    url = given or os.environ.get("SERINUS_URL", "").strip()
    if not url:
        raise InvalidOption("url: give one, or set SERINUS_URL")
    return url


def key_of(given: str | None) -> str:
    """Raises InvalidOption, without telling the key."""
    key = given or secret("SERINUS_KEY")
    if not key:
        raise InvalidOption("key: give one, or set SERINUS_KEY or SERINUS_KEY_FILE")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InvalidOption("key: expected ASCII without white space and control characters")
    return key


def labels_of(given: Iterable[str] | None) -> tuple[str, ...] | None:
    """None for all labels. Raises InvalidOption."""
    if given is None:
        return None
    labels = () if isinstance(given, str) else tuple(given)
    if not labels or not all(isinstance(label, str) and label for label in labels):
        raise InvalidOption(f"labels: expected a list of labels, or None for all, got {given!r}")
    return labels


def secret(name: str) -> str:
    """The content of the file that NAME_FILE names, else the variable NAME, without surrounding white space."""
    if file_name := os.environ.get(f"{name}_FILE"):
        try:
            return Path(file_name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidOption(f"{name}_FILE: cannot read {file_name!r}: {error}") from error
    return os.environ.get(name, "").strip()

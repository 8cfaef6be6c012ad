"""Where the client's options come from: the argument, else the environment, checked before anything is begun."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from threading import TIMEOUT_MAX
from typing import Union

from serinus.errors import InvalidOption

FilePath = Union[str, "os.PathLike[str]"]


def url_of(given: str | None) -> str:
    """Raises InvalidOption when there is none."""
    url = given or os.environ.get("SERINUS_URL", "").strip()
    if not url:
        raise InvalidOption("url: give one, or set SERINUS_URL")
    if not isinstance(url, str) or not url.isprintable():
        raise InvalidOption("url: expected one such as https://prompts.example.com")
    return url


def key_of(given: str | None) -> str:
    """Raises InvalidOption, without telling the key."""
    key = given or secret("SERINUS_KEY")
    if not key:
        raise InvalidOption("key: give one, or set SERINUS_KEY or SERINUS_KEY_FILE")
    if not isinstance(key, str) or not (key.isascii() and key.isprintable()) or " " in key:
        raise InvalidOption("key: expected ASCII without white space and control characters")
    return key


def bundle_key_of(given: str | None, key: str) -> str:
    """By default the API key. Raises InvalidOption."""
    if isinstance(given, str) or given is None:
        return given or key
    raise InvalidOption(f"bundle_key: expected text, got {type(given).__name__}")


def labels_of(given: Iterable[str] | None) -> tuple[str, ...] | None:
    """None for all labels. Raises InvalidOption."""
    if given is None:
        return None
    labels = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else ()
    if not labels or not all(isinstance(label, str) and label.isprintable() and label for label in labels):
        raise InvalidOption(f"labels: expected a list of labels, or None for all, got {given!r}")
    return labels


def path_of(given: FilePath, *, name: str) -> Path:
    """Raises InvalidOption."""
    try:
        return Path(given)
    except TypeError as error:
        raise InvalidOption(f"{name}: expected a path, got {type(given).__name__}") from error


def seconds_of(given: float, *, name: str) -> float:
    """Raises InvalidOption."""
    if isinstance(given, (int, float)) and given >= 0:
        return min(given, TIMEOUT_MAX)
    raise InvalidOption(f"{name}: expected seconds, 0 or more, got {given!r}")


def secret(name: str) -> str:
    """The content of the file that NAME_FILE names, else the variable NAME, without surrounding white space."""
    if file := os.environ.get(f"{name}_FILE"):
        return secret_in(file, name=f"{name}_FILE")
    return os.environ.get(name, "").strip()


def secret_in(file: FilePath, *, name: str) -> str:
    """Without surrounding white space. Raises InvalidOption."""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise InvalidOption(f"{name}: cannot read {str(file)!r}: {error}") from error

"""How a ruleset is kept in a file, so that it is read back whole and as it was, or not at all.

The first line names the kind of file and the HMAC-SHA256 of all that follows: a line about the ruleset as JSON, then a
line for each prompt. Whoever does not have the key can neither make such a file nor change one. The key is not in it.
Line by line, so that neither writing nor reading holds other threads up for longer than one prompt takes.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from serinus.ruleset import Malformed, Ruleset, made, prompt_of

FORMAT = 1


@dataclass(frozen=True)
class Kept:
    """A ruleset, and when it was fetched (seconds since 1970)."""

    ruleset: Ruleset
    fetched_at: float


def seal(kept: Kept, *, kind: str, key: str) -> bytes:
    """The file's content."""
    lines = b"".join(_lines(kept))
    return f"{kind} {FORMAT} {_signature(kind, key, lines)}\n".encode() + lines


def unseal(content: bytes, *, kind: str, key: str) -> Kept:
    """Raises Malformed, whose message tells what is wrong."""
    first, _, lines = content.partition(b"\n")
    words = first[:200].split(b" ")
    if len(words) != 3 or words[0] != kind.encode():
        raise Malformed(f"this is no {kind}")
    if words[1] != str(FORMAT).encode():
        raise Malformed(f"it has another format than {FORMAT}, the only one that this release of the SDK reads")
    if not hmac.compare_digest(words[2], _signature(kind, key, lines).encode()):
        raise Malformed("it was not signed with this key, or it was changed or cut short afterwards")
    about, *prompts = map(json.loads, lines.splitlines())
    by_name = {prompt["name"]: prompt_of(prompt["name"], prompt["body"]) for prompt in prompts}
    return Kept(made(about["generation"], about["digest"], by_name), about["fetched_at"])


def _lines(kept: Kept) -> Iterator[bytes]:
    ruleset = kept.ruleset
    yield _line({"fetched_at": kept.fetched_at, "generation": ruleset.generation, "digest": ruleset.digest})
    for name in ruleset.names:
        yield _line({"name": name, "body": ruleset.prompts[name].body})


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def _signature(kind: str, key: str, lines: bytes) -> str:
    return hmac.new(key.encode(), f"{kind} {FORMAT}\n".encode() + lines, "sha256").hexdigest()

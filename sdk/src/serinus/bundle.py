"""A ruleset in one signed file, to be built into an image: what an app starts with where nothing else is to be had."""

from __future__ import annotations

import os
import time
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlencode

from serinus.asking import Connection, Server
from serinus.errors import BundleRefused, Error
from serinus.ruleset import read
from serinus.sealed import Kept, seal, unseal

KIND = "serinus-bundle"
CONNECT_S, ANSWER_S, BODY_S = 10.0, 30.0, 120.0


def fetch(server: Server, key: str, labels: tuple[str, ...] | None) -> Kept:
    """The whole ruleset as the server has it now. Raises Error."""
    query = urlencode([("label", label) for label in labels or ()])
    connection = Connection(server, connect_s=CONNECT_S)
    try:
        answer = connection.request(
            "GET",
            f"/ruleset?{query}" if query else "/ruleset",
            {"Authorization": f"Bearer {key}", "Accept": "application/json"},
            answer_s=ANSWER_S,
            body_s=BODY_S,
        )
        if answer.status != 200:
            raise Error(f"The server answered {answer.status}: {answer.body[:500].decode('utf-8', 'replace')}")
        return Kept(read(answer.body, None), time.time())
    except (OSError, HTTPException, ValueError) as error:
        raise Error(f"The ruleset could not be fetched: {type(error).__name__}: {error}") from error
    finally:
        connection.close()


def write(path: Path, kept: Kept, *, key: str) -> None:
    """The file appears complete or not at all. Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        draft.write_bytes(seal(kept, kind=KIND, key=key))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def load(path: Path, *, key: str) -> Kept:
    """Raises BundleRefused with the reason."""
    try:
        return unseal(path.read_bytes(), kind=KIND, key=key)
    except (OSError, ValueError) as error:
        raise BundleRefused(f"The bundle {path} is refused: {error}") from error

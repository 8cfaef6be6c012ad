"""The recorded bodies of real clients (shared/captures/otlp) and the hostile ones (shared/captures/otlp-edge)."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import SHARED

CLIENTS = SHARED / "captures" / "otlp"
HOSTILE = SHARED / "captures" / "otlp-edge"
OFFICIAL = ("otel-plain", "otel-openai-v2", "otel-openai-v2-exp", "genai-openai", "js-plain")


@dataclass(frozen=True)
class Request:
    """One recorded request: its body as it came over the wire, and the two headers that tell how to read it."""

    body: bytes
    content_type: str
    content_encoding: str

    @property
    def plain(self) -> bytes:
        return gzip.decompress(self.body) if self.content_encoding == "gzip" else self.body


def official_cases() -> list[dict[str, Any]]:
    """The cases of clients that write the official GenAI attributes."""
    return [case for case in _cases(CLIENTS) if case["client"] in OFFICIAL]


def client_cases() -> list[dict[str, Any]]:
    """The cases of all clients."""
    return _cases(CLIENTS)


def hostile_cases() -> list[dict[str, Any]]:
    return _cases(HOSTILE)


def trace_requests(case: dict[str, Any]) -> Iterator[Request]:
    """The requests of a client's case to /v1/traces, in order of arrival."""
    for request in case["requests"]:
        if request["signal"] == "traces":
            yield _request(CLIENTS, request)


def hostile_request(case: dict[str, Any]) -> Request:
    return _request(HOSTILE, case)


def name_of(case: dict[str, Any]) -> str:
    return "/".join(case[key] for key in ("client", "case") if key in case)


def _cases(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads((folder / "index.json").read_text())["cases"])


def _request(folder: Path, entry: dict[str, Any]) -> Request:
    recorded = json.loads((folder / entry["headers"]).read_text())["headers"]
    headers = {name.lower(): value for name, value in recorded.items()}
    body = (folder / entry["file"]).read_bytes()
    return Request(body, headers["content-type"], headers.get("content-encoding", "identity"))

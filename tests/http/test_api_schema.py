"""The OpenAPI document: that it is committed as it is made, that it tells of every address, and its page."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from config.openapi import COMMAND, OPERATIONS

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "docs" / "reference" / "openapi.yaml"
FOR_PEOPLE = ("/admin/", "/alerts", "/insights/", "/rollouts/")
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMMITTED.read_text())
    return loaded


def test_document__made_anew__as_committed(tmp_path: Path) -> None:
    made = tmp_path / "openapi.yaml"

    call_command("spectacular", "--validate", "--fail-on-warn", "--file", made)

    assert made.read_text() == COMMITTED.read_text(), f"The API has changed. Run: {COMMAND}"


def test_document__every_address_of_programs__told() -> None:
    served = {address for address in addresses(get_resolver()) if address != "/" and not address.startswith(FOR_PEOPLE)}
    told = {operation.split()[1] for operation in OPERATIONS}

    assert served == told


def addresses(resolver: URLResolver, prefix: str = "/") -> set[str]:
    found: set[str] = set()
    for pattern in resolver.url_patterns:
        address = prefix + PARAMETER.sub(lambda match: f"{{{match[1] or match[2]}}}", str(pattern.pattern))
        if isinstance(pattern, URLPattern):
            found.add("/" + address.strip("/^$").removesuffix(r"\Z").removeprefix("^"))
        elif prefix == "/" and str(pattern.pattern) == "":
            found |= addresses(pattern)
        else:
            found.add(address)
    return found


def test_schema__asked_for__what_is_committed(client: Client) -> None:
    response = client.get("/api/schema")

    assert response["Content-Type"] == "application/yaml"
    assert response.content == COMMITTED.read_bytes()


def test_docs__asked_for__nothing_from_elsewhere_and_no_script_in_the_page(client: Client) -> None:
    page = client.get("/api/docs")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())

    assert "default-src 'self'" in page["Content-Security-Policy"]
    assert all(address.startswith("/") and not address.startswith("//") for address in loaded)
    assert not re.search(r"<script(?![^>]*src=)|<style|style=| on\w+=", page.content.decode())


@pytest.mark.parametrize(
    "file",
    [
        "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css",
        "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js",
        "api_docs.js",
    ],
)
def test_docs__its_files__served_from_here(client: Client, file: str) -> None:
    page = client.get("/api/docs").content.decode()

    assert f"/static/{file}" in page
    assert finders.find(file)

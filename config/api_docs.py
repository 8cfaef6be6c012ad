"""The API's OpenAPI document as it is committed, and a page to browse it that loads nothing from elsewhere."""

from functools import cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from common.requests import only_read

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "reference" / "openapi.yaml"


@only_read
def schema(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_document(), content_type="application/yaml")


@only_read
def browse(request: HttpRequest) -> HttpResponse:
    return render(request, "api_docs.html")


@cache
def _document() -> bytes:
    return DOCUMENT.read_bytes()

"""What an address asks a page for. People edit addresses by hand: what cannot be meant is left out, not refused."""

from collections.abc import Collection

from django.http import HttpRequest

LONGEST = 200
LARGEST = 2**63 - 1


def word(request: HttpRequest, name: str) -> str:
    """The text, empty where there is none. It holds no NUL: common.requests refuses such an address as a whole."""
    return request.GET.get(name, "").strip()[:LONGEST]


def choice(request: HttpRequest, name: str, among: Collection[str], default: str) -> str:
    asked = word(request, name)
    return asked if asked in among else default


def number(request: HttpRequest, name: str) -> int | None:
    """A whole number of 0 or more."""
    asked = word(request, name)
    return min(int(asked), LARGEST) if asked.isascii() and asked.isdigit() else None

"""Pages as a browser gets them, read as people do: their words, and an outline that must be in order."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

PLAIN = str.maketrans("\N{NARROW NO-BREAK SPACE}\N{NO-BREAK SPACE}\N{EN DASH}\N{MINUS SIGN}", "  --")
VOID = {"meta", "link", "input"}


def html_of(page: HttpResponse) -> str:
    return page.content.decode()


def words(page: HttpResponse) -> str:
    """The text between the tags, with plain spaces and signs."""
    return _words(html_of(page))


def section(page: HttpResponse, heading: str) -> str:
    """The words of the section that is labelled by this id, or none."""
    found = re.search(f'<section aria-labelledby="{heading}">.*?</section>', html_of(page), re.DOTALL)
    return _words(found[0]) if found else ""


def rows(page: HttpResponse, heading: str | None = None) -> dict[str, str]:
    """First word → all words of the row, of the first table of the page, or of the section with this heading."""
    html = html_of(page)
    if heading:
        html = html[html.index(f'<section aria-labelledby="{heading}">') :]
    body = re.search("<tbody>(.*?)</tbody>", html, re.DOTALL)
    found = re.findall("<tr>(.*?)</tr>", body[1], re.DOTALL) if body else []
    return {_words(re.split("</(?:a|span|t.)>", row, maxsplit=1)[0]): _words(row) for row in found}


def links(page: HttpResponse) -> list[str]:
    return [unescape(address) for address in re.findall('href="([^"]*)"', html_of(page))]


def queries_of(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def read_strictly(page: HttpResponse) -> None:
    """Every tag is closed in its order, headings leave no level out, nothing is styled or scripted in place."""
    assert page.status_code in {200, 404}
    outline = _Outline()
    outline.feed(html_of(page))
    assert outline.open == []
    assert outline.in_place == []
    assert outline.levels.count(1) == 1
    assert all(below - above <= 1 for above, below in zip(outline.levels, outline.levels[1:], strict=False))


class _Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.levels: list[int] = []
        self.in_place: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.in_place += [name for name, _ in attrs if name == "style" or name.startswith("on")]
        from_a_file = tag == "script" and any(name == "src" for name, _ in attrs)
        self.in_place += [tag] if tag in {"script", "style"} and not from_a_file else []
        self.levels += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _words(html: str) -> str:
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).translate(PLAIN).split())

"""Which pages are there, and where do their links lead?"""

import html
import re
from collections import Counter, deque
from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit

from django.urls import Resolver404, resolve
from playwright.sync_api import APIRequestContext

from tests import access

NOT_OURS = re.compile(
    r"admin/(auth|axes|django_q)/"  # models of others
    r"|.*/(history|delete)/$|admin/r/|admin/\(|admin/\^|admin/password_change|.*<path:object_id>/$"
)
"""Django's own pages as they are, which it tests itself."""

NO_PAGES = re.compile(r"admin/jsi18n/|admin/registry/auditentry/export/")
MOST_OF_A_ROUTE = 3
LINK = re.compile(r'<a\b[^>]*\bhref="([^"#]+)')


def routes() -> list[str]:
    """Every page that a superuser may open, but for Django's own."""
    pages = [route for route, (who, _) in access.pages().items() if "s" in who]
    return sorted([*access.OPEN_PAGES, *filter(is_page, pages)])


def is_page(route: str) -> bool:
    return not NOT_OURS.match(route) and not NO_PAGES.match(route)


def name_of(route: str) -> str:
    """For the name of a file."""
    return re.sub(r"\W+", "-", re.sub(r"<\w+:(\w+)>", r"\1", route)).strip("-") or "status"


def addresses(request: APIRequestContext, begin: Sequence[str]) -> dict[str, str]:
    """Route → path, of all pages that can be reached by links from where it begins; the first that is found."""
    found: dict[str, str] = {}
    read, queue, known = Counter[str](), deque(begin), set(begin)
    while queue:
        path = queue.popleft()
        route = _route_of(path)
        if route is None or not is_page(route) or read[route] == MOST_OF_A_ROUTE:
            continue
        read[route] += 1
        answer = request.get(path)
        if not answer.ok or "text/html" not in answer.headers.get("content-type", ""):
            continue
        found.setdefault(route, path)
        for link in LINK.findall(answer.text()):
            target = urlsplit(urljoin(answer.url, html.unescape(link)))
            if target.netloc == urlsplit(answer.url).netloc and target.path not in known:
                known.add(target.path)
                queue.append(target._replace(scheme="", netloc="", fragment="").geturl())
    return found


def _route_of(path: str) -> str | None:
    try:
        return str(resolve(urlsplit(path).path).route)
    except Resolver404:
        return None

"""Where do the pages' links lead? One address for every route, found as people find it: by following links."""

import html
import re
from collections import Counter, deque
from collections.abc import Callable, Sequence
from urllib.parse import urljoin, urlsplit

from django.urls import Resolver404, resolve
from playwright.sync_api import APIRequestContext

MOST_OF_A_ROUTE = 2
LINK = re.compile(r'<a\b[^>]*\bhref="([^"#]+)')


def addresses(request: APIRequestContext, begin: Sequence[str], wanted: Callable[[str], bool]) -> dict[str, str]:
    """Route of the URL configuration → path, of all that can be reached from the beginning; the first that is found."""
    found: dict[str, str] = {}
    read, queue, known = Counter[str](), deque(begin), set(begin)
    while queue:
        path = queue.popleft()
        route = route_of(path)
        if route is None or not wanted(route) or read[route] == MOST_OF_A_ROUTE:
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
                queue.append(target.path)
    return found


def route_of(path: str) -> str | None:
    try:
        return str(resolve(urlsplit(path).path).route)
    except Resolver404:
        return None

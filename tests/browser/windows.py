"""The windows in which people look at the pages; whatever goes wrong in one unexpectedly fails the test."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, WebError

from tests.process.server import HOST

WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 10_000
"""On a machine that runs other tests beside."""

GIVEN_UP = "net::ERR_ABORTED"
"""By the page itself: it went on to another address meanwhile."""


@dataclass  # without slots: Playwright leaves a mark of its own on whose methods it calls
class Windows:
    """Opens windows on one instance, and keeps what went wrong in them. sessions: of people who have logged in.

    Those of one person share a browser of their own, with its cache of styles and scripts; each begins with the
    person's session and no other cookie.
    """

    browser: Browser
    url: str
    sessions: Mapping[str, str]
    faults: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    _browsers: dict[str, BrowserContext] = field(default_factory=dict)

    def open(self, person: str = "", **options: Any) -> Page:
        """A window of a person who has logged in, or of somebody. options: of Playwright's new_context."""
        whose = f"{person} {options}"
        if whose not in self._browsers:
            self._browsers[whose] = self._new(options)
        context = self._browsers[whose]
        if not context.pages:
            context.clear_cookies()
            if person:
                context.add_cookies([{"name": "sessionid", "value": self.sessions[person], "url": self.url}])
        return context.new_page()

    def expect_fault(self, words: str) -> None:
        """What has these words is no fault: the test provokes it."""
        self.expected.append(words)

    def close_all(self) -> None:
        for context in self._browsers.values():
            for page in context.pages:
                page.close()

    def refuse_faults(self) -> None:
        """Fails the test by those that it did not expect."""
        unexpected = [fault for fault in self.faults if not any(words in fault for words in self.expected)]
        self.faults.clear()
        self.expected.clear()
        if unexpected:
            pytest.fail("\n".join(unexpected), pytrace=False)

    def _new(self, options: dict[str, Any]) -> BrowserContext:
        defaults: dict[str, Any] = {"viewport": WIDE, "reduced_motion": "reduce", "locale": "en-GB"}
        context = self.browser.new_context(base_url=self.url, **{**defaults, **options})
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)
        context.on("requestfailed", self._on_failure)
        context.set_default_timeout(PATIENCE_MS)
        return context

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.faults.append(f"console: {message.text} at {message.location}")

    def _on_error(self, error: WebError) -> None:
        self.faults.append(f"script: {error.error}")

    def _on_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme != "data" and address.hostname != HOST:
            self.faults.append(f"request to elsewhere: {request.url}")

    def _on_failure(self, request: Request) -> None:
        if request.failure != GIVEN_UP:
            self.faults.append(f"request failed: {request.url}: {request.failure}")

"""The windows in which people look at the pages; whatever goes wrong in one unexpectedly fails the test."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, StorageState, WebError

from tests.browser.instance import PASSWORD
from tests.process.server import HOST

WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 10_000
"""On a machine that runs other tests beside."""

GIVEN_UP = "net::ERR_ABORTED"
"""By the page itself: it went on to another address meanwhile."""


@dataclass  # without slots: Playwright leaves a mark of its own on whose methods it calls
class Windows:
    """Opens windows on one instance, and keeps what went wrong in them. logins: of people who have logged in before."""

    browser: Browser
    url: str
    logins: dict[str, StorageState]
    faults: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    _opened: list[BrowserContext] = field(default_factory=list)

    def open(self, person: str = "", **options: Any) -> Page:
        """A window of its own, of a person who has logged in, or of somebody. options: of Playwright's new_context."""
        if person and person not in self.logins:
            page = self._new(None, {})
            log_in(page, person)
            self.logins[person] = page.context.storage_state()
        return self._new(self.logins.get(person), options)

    def expect_fault(self, words: str) -> None:
        """What has these words is no fault: the test provokes it."""
        self.expected.append(words)

    def close(self) -> None:
        for context in self._opened:
            context.close()

    def unexpected(self) -> list[str]:
        return [fault for fault in self.faults if not any(words in fault for words in self.expected)]

    def _new(self, login: StorageState | None, options: dict[str, Any]) -> Page:
        defaults: dict[str, Any] = {"viewport": WIDE, "reduced_motion": "reduce", "locale": "en-GB"}
        context = self.browser.new_context(base_url=self.url, storage_state=login, **{**defaults, **options})
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)
        context.on("requestfailed", self._on_failure)
        context.set_default_timeout(PATIENCE_MS)
        self._opened.append(context)
        return context.new_page()

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


def log_in(page: Page, person: str) -> None:
    page.goto("/admin/login/")
    page.get_by_label("Username").fill(person)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Log out").wait_for()

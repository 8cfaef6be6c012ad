"""Which Chromium do the walks drive? One that is installed; `make test` sees to it where there is apt."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # whatever a page asks for, nothing leaves the machine
    "--no-first-run",
    "--no-sandbox",  # it is root in most containers, for whom Chromium has no sandbox
)


def installed() -> str | None:
    """Its path: SERINUS_CHROMIUM, else the first of the names that there is."""
    return os.environ.get("SERINUS_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def running(path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()

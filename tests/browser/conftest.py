"""A real Chromium and a served Serinus for the walks. These tests never touch the database: they know it by HTTP alone.

Playwright keeps an event loop running in this thread, in which Django refuses its ORM. Both are of the package, so that
the loop has ended before another test of the same process begins; one worker of pytest has all of these tests.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, StorageState, expect

from tests.browser import chromium, instance
from tests.browser.instance import Instance
from tests.browser.pictures import Camera
from tests.browser.windows import PATIENCE_MS, Windows

HERE = Path(__file__).resolve().parent
expect.set_options(timeout=PATIENCE_MS)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups, also where this file is loaded before it
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium.installed()
    if path is None:
        pytest.skip(f"none of {', '.join(chromium.NAMES)} is installed, nor does SERINUS_CHROMIUM name one")
    with chromium.running(path) as browser:
        yield browser


@pytest.fixture(scope="package")
def serinus(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Instance]:
    """One for all walks, each of which has prompts of its own."""
    with instance.running(tmp_path_factory.mktemp("browser")) as serinus:
        yield serinus


@pytest.fixture(scope="package")
def logins() -> dict[str, StorageState]:
    return {}


@pytest.fixture
def windows(browser: Browser, serinus: Instance, logins: dict[str, StorageState]) -> Iterator[Windows]:
    windows = Windows(browser, serinus.url, logins)
    yield windows
    windows.close()
    if faults := windows.unexpected():
        pytest.fail("\n".join(faults), pytrace=False)


@pytest.fixture(scope="session")
def camera(pytestconfig: pytest.Config) -> Camera:
    return Camera(on=pytestconfig.getoption("pictures"))

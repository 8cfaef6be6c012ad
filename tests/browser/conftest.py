"""A real Chromium and a served Serinus for the walks. These tests never touch the database: they know it by HTTP alone.

Playwright keeps an event loop running in this thread, in which Django refuses its ORM. Both are of the package, so that
the loop has ended before another test of the same process begins; one worker of pytest has all of these tests.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium, instance
from tests.browser.instance import SUPERUSER, Instance
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


@pytest.fixture(scope="module")
def _windows_of_all(browser: Browser, serinus: Instance) -> Windows:
    return Windows(browser, serinus.url, serinus.sessions)


@pytest.fixture
def windows(_windows_of_all: Windows) -> Iterator[Windows]:
    yield _windows_of_all
    _windows_of_all.close_all()
    _windows_of_all.refuse_faults()


@pytest.fixture(scope="module")
def one_window(browser: Browser, serinus: Instance) -> Iterator[tuple[Windows, Page]]:
    windows = Windows(browser, serinus.url, serinus.sessions)
    yield windows, windows.open(SUPERUSER)
    windows.close_all()


@pytest.fixture
def reading(one_window: tuple[Windows, Page]) -> Iterator[Page]:
    """The superuser's window, for pages that are only looked at: a new one for each would load all styles again."""
    windows, page = one_window
    yield page
    windows.refuse_faults()


@pytest.fixture(scope="session")
def camera(pytestconfig: pytest.Config) -> Camera:
    return Camera(on=pytestconfig.getoption("pictures"))

"""Pages of an installation that has just been made: each says that there is nothing yet."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, StorageState, expect

from tests.browser import axe, instance, site_map
from tests.browser.instance import SUPERUSER, Instance
from tests.browser.pictures import Camera, beyond, on_a_phone
from tests.browser.windows import Windows

PAGES = [route for route in site_map.routes() if "<" not in route and not route.startswith("admin/")]
NOTHING = re.compile(r"\b(no|nothing|none|0)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def serinus(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Instance]:
    """Another one than that in which the other tests have made something."""
    with instance.running(tmp_path_factory.mktemp("new")) as serinus:
        yield serinus


@pytest.fixture(scope="module")
def logins() -> dict[str, StorageState]:
    """To this one."""
    return {}


@pytest.mark.parametrize("route", PAGES)
def test_page__nothing_there_yet__says_so(route: str, windows: Windows, camera: Camera) -> None:
    page = windows.open(SUPERUSER)

    page.goto(f"/{route}")

    expect(page.get_by_role("main")).to_contain_text(NOTHING)
    camera.take(page, f"{site_map.name_of(route)}-empty")
    assert not axe.grave_violations(page)
    with on_a_phone(page):
        assert not beyond(page)

"""Pages of an installation that has just been made: each says that there is nothing yet."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import axe, instance, site_map
from tests.browser.instance import Instance
from tests.browser.pictures import Camera, beyond, on_a_phone

PAGES = [route for route in site_map.routes() if "<" not in route and not route.startswith("admin/")]
NOTHING = re.compile(r"\b(no|nothing|none|0)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def serinus(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Instance]:
    """Another one than that in which the other tests have made something."""
    with instance.running(tmp_path_factory.mktemp("new")) as serinus:
        yield serinus


@pytest.mark.parametrize("route", PAGES)
def test_page__nothing_there_yet__says_so(route: str, reading: Page, camera: Camera) -> None:
    reading.goto(f"/{route}")

    expect(reading.get_by_role("main")).to_contain_text(NOTHING)
    camera.take(reading, f"{site_map.name_of(route)}-empty")
    assert not axe.grave_violations(reading)
    with on_a_phone(reading):
        assert not beyond(reading)

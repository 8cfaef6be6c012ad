"""Every page, with something on it: everybody can use it, in light, in dark and on a phone."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser import axe, site_map, story
from tests.browser.instance import Instance
from tests.browser.pictures import Camera, beyond, on_a_phone
from tests.browser.windows import Windows


@pytest.fixture(scope="package")
def told(serinus: Instance, camera: Camera) -> story.Story:
    return story.tell(serinus, at_length=camera.on)


@pytest.fixture(scope="package")
def addresses() -> dict[str, str]:
    """Found by the first test that needs them."""
    return {}


@pytest.fixture
def page(reading: Page, told: story.Story, addresses: dict[str, str]) -> Page:
    if not addresses:
        lists = [f"/admin/registry/{each}/?q={story.NAME}" for each in ("prompt", "label")]
        begin = [f"/rollouts/{told.running}", *lists, "/", "/admin/"]
        addresses |= site_map.addresses(reading.request, begin)
    return reading


@pytest.mark.parametrize("route", site_map.routes())
def test_page__with_data__accessible_and_no_wider_than_a_phone(
    route: str, page: Page, addresses: dict[str, str], camera: Camera
) -> None:
    assert route in addresses, f"no link leads there; links lead to {sorted(addresses)}"

    page.goto(addresses[route])

    camera.take(page, site_map.name_of(route))
    assert not axe.grave_violations(page)
    with on_a_phone(page):
        assert not beyond(page)


def test_sidebar__accessible(page: Page, addresses: dict[str, str]) -> None:
    page.goto(addresses["admin/registry/label/<path:object_id>/change/"])  # it has all styles: Django's and ours

    expect(page.locator(axe.SIDEBAR).locator("[aria-current=page]")).to_be_visible()
    assert not axe.grave_violations(page, axe.SIDEBAR)


def test_rollout_page__rolled_back__accessible(told: story.Story, windows: Windows, camera: Camera) -> None:
    page = windows.open()
    page.goto(f"/rollouts/{told.rolled_back}")

    camera.take(page, "rolled-back")
    camera.take_for_readme(page)
    assert not axe.grave_violations(page)
    with on_a_phone(page):
        assert not beyond(page)

"""Can everybody use a page? What axe finds in it (WCAG 2.2 AA and its own good practices), in light and in dark."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = {"serious", "critical"}
COLOURS_ALONE = {"runOnly": ["color-contrast"]}
"""All that can differ in the dark."""


def grave_violations(page: Page) -> list[str]:
    """The serious and critical ones: rule, how often, and the first place of each."""
    page.emulate_media(color_scheme="light")
    found = Axe().run(page).response["violations"]
    page.emulate_media(color_scheme="dark")
    dark = Axe().run(page, options=COLOURS_ALONE).response["violations"]
    page.emulate_media(color_scheme="light")
    return [_told(each, "light") for each in found if each["impact"] in GRAVE] + [_told(each, "dark") for each in dark]


def _told(violation: dict[str, Any], scheme: str) -> str:
    first = violation["nodes"][0]
    places = f"{len(violation['nodes'])} of them, first {' '.join(map(str, first['target']))}: {first['html'][:200]}"
    return (
        f"{violation['id']} ({violation['impact']}, {scheme}): {violation['help']}; {places}\n{first['failureSummary']}"
    )

"""Can everybody use a page? What axe finds in it (WCAG AA and good practices), in light and in dark."""

from collections.abc import Mapping
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = {"serious", "critical"}
MORE_ROWS = ["#result_list tbody tr:nth-child(n + 4)"]
SIDEBAR = "#nav-sidebar"
STOCK = {"exclude": [[".breadcrumbs"], [".vDateField"], [".vTimeField"], ["#searchbar"], MORE_ROWS, [SIDEBAR]]}
"""Django's admin as it is: links told apart by their colour alone, a time's two fields without labels of their own, a
search labelled by a picture alone.
Of its long lists three rows are enough. Its sidebar, the same on every page, is looked at once: it has more words than
most pages have beside it."""

EVERYTHING: dict[str, Any] = {
    "preload": False,  # else axe reads the stylesheets by itself, which the pages' policy refuses
    "resultTypes": ["violations"],  # what was right need not be told in full: that takes as long as finding it out
    "selectors": False,  # _told shows the element itself
}
COLOURS: dict[str, Any] = {**EVERYTHING, "runOnly": ["color-contrast"]}
"""All that can differ in the dark."""

SCRIPT = Axe().axe_script
RUN = "async ([context, options]) => (await axe.run(context, options)).violations"


def grave_violations(page: Page, part: str = "") -> list[str]:
    """The serious and critical ones: the rule, how often it is broken, and where first.

    part: the selector of all that is looked at, else it is the whole page but for STOCK.
    """
    context = part or STOCK
    page.evaluate(SCRIPT)
    found = []
    for scheme, options in (("dark", COLOURS), ("light", EVERYTHING)):
        page.emulate_media(color_scheme=scheme)
        page.evaluate("document.getAnimations().forEach((each) => each.finish())")  # colours on their way to others
        violations = page.evaluate(RUN, [context, options])
        found += [f"{scheme}: {_told(violation)}" for violation in violations if violation["impact"] in GRAVE]
    return found


def _told(violation: Mapping[str, Any]) -> str:
    nodes = violation["nodes"]
    return f"{violation['id']}, {len(nodes)} times, first in {nodes[0]['html'][:300]}: {nodes[0]['failureSummary']}"

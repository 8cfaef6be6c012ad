"""With the keyboard alone: everything is reached in the order in which it is read, and one sees where one is."""

from playwright.sync_api import Locator, Page, expect

from tests.browser.instance import OPERATOR, Instance
from tests.browser.windows import Windows

MOST_STOPS = 60
OUTLINED = (
    "(one) => getComputedStyle(one).outlineStyle !== 'none' && parseFloat(getComputedStyle(one).outlineWidth) >= 2"
)


def tab_to(page: Page, wanted: Locator) -> None:
    """By the tabulator, seeing at each stop where one is."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        assert focused.evaluate(OUTLINED), f"not seen to have the focus: {focused.evaluate('(one) => one.outerHTML')}"
        if wanted.evaluate("(one) => one === document.activeElement"):
            return
    raise AssertionError(f"{MOST_STOPS} stops of the tabulator did not lead to {wanted}")


def test_roll_back__by_keyboard_alone(serinus: Instance, windows: Windows) -> None:
    rollout = serinus.roll_out("typed")
    page = windows.open(OPERATOR)
    page.goto("/")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name="typed").first)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"/rollouts/{rollout}")
    tab_to(page, page.get_by_role("link", name="Roll back"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"/rollouts/{rollout}/rollback")
    tab_to(page, page.get_by_label("Reason"))
    page.keyboard.type("Found by hand")
    tab_to(page, page.get_by_role("button", name="Roll back"))
    page.keyboard.press("Enter")

    expect(page.get_by_role("region", name="What happened")).to_contain_text("Found by hand")


def test_live_page__while_a_link_has_the_focus__keeps_it(serinus: Instance, windows: Windows) -> None:
    serinus.roll_out("focused")
    page = windows.open()
    page.clock.install()
    page.goto("/")
    link = page.get_by_role("link", name="focused").first
    link.focus()

    serinus.roll_out("beside")
    page.clock.run_for(6000)  # it asks every five seconds

    expect(page.get_by_role("link", name="beside").first).to_be_visible()
    expect(link).to_be_focused()

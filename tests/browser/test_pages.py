from playwright.sync_api import expect

from tests.browser import axe
from tests.browser.instance import Instance
from tests.browser.windows import Windows


def test_rollout__evidence_of_harm__changes_by_itself(serinus: Instance, windows: Windows) -> None:
    rollout = serinus.roll_out("live")
    page = windows.open()
    page.goto(f"/rollouts/{rollout}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("live")

    serinus.take_orders("live", {"canary": 0.5})

    expect(page.get_by_text("Rolled back").first).to_be_visible(timeout=10_000)
    assert axe.grave_violations(page) == []

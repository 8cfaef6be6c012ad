"""A releaser starts a rollout from the page of a version, knowing beforehand what it will take."""

from playwright.sync_api import expect

from tests.browser.instance import RELEASER, Instance
from tests.browser.windows import Windows


def test_rollout__started_from_a_version__after_its_forecast(serinus: Instance, windows: Windows) -> None:
    serinus.publish("begun")
    page = windows.open(RELEASER)
    page.goto("/admin/registry/promptversion/?q=begun")
    page.get_by_role("link", name="begun@v1.1").click()

    page.get_by_role("link", name="Start a rollout").click()
    forecast = page.get_by_role("complementary", name="Forecast")
    expect(forecast).to_contain_text("error_rate")
    for row in (2, 3):
        page.get_by_label(f"Canary's share, % {row}").fill("")
        page.get_by_label(f"Hold at least {row}").fill("")
    page.get_by_label("Canary's share, % 1").fill("50")
    page.get_by_label("Hold at least 1").fill("tomorrow")
    page.keyboard.press("Tab")
    expect(page.get_by_role("main")).to_contain_text("expected a duration")
    page.get_by_label("Hold at least 1").fill("10m")
    page.keyboard.press("Tab")
    expect(page.get_by_text("expected a duration")).to_be_hidden()
    expect(forecast).to_contain_text("error_rate")
    page.get_by_role("button", name="Start the rollout").click()

    expect(page.get_by_role("status")).to_contain_text("is started: 50 % of units get v1.1.")
    expect(page.get_by_role("heading", level=1)).to_contain_text("begun v1.0 → v1.1")
    serinus.wait_for_both_arms("begun")


def test_rollout__started_while_another_is_active__is_refused_and_leads_there(
    serinus: Instance, windows: Windows
) -> None:
    rollout = serinus.roll_out("occupied")
    page = windows.open(RELEASER)
    page.goto("/admin/rollout/rollout/add/?prompt=occupied&canary=v1.1")

    page.get_by_role("button", name="Start the rollout").click()

    expect(page.get_by_text("Nothing was started.")).to_be_visible()
    page.get_by_role("link", name="Another rollout").click()
    expect(page).to_have_url(f"/rollouts/{rollout}")

"""Whoever is on call watches a rollout: its page changes by itself, and what must be done is done there."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser import story
from tests.browser.instance import OPERATOR, SOON, Instance
from tests.browser.windows import Windows
from tests.process.server import wait_until

ROLLED_BACK = re.compile(": Rolled back")
CHANGES_WITHIN_MS = 10_000
"""By itself every five seconds; a look at the evidence once a second, and the page's way, come on top."""

ASKS_AGAIN_MS = 6000


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_rollout_page__scores_come_in__changes_by_itself(serinus: Instance, windows: Windows, script: bool) -> None:
    prompt = f"watched-{'with' if script else 'without'}-script"
    rollout = serinus.roll_out(prompt, **SOON)
    page = windows.open(java_script_enabled=script)
    page.goto(f"/rollouts/{rollout}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"{prompt} v1.0 → v1.1")
    expect(page).not_to_have_title(ROLLED_BACK)

    serinus.take_orders(prompt, story.HARMFUL)

    expect(page).to_have_title(ROLLED_BACK, timeout=CHANGES_WITHIN_MS)
    expect(page.get_by_role("region", name="Metrics").get_by_role("row", name="hallucination")).to_contain_text(
        "Harmful"
    )


def test_status_page__a_rollout_starts_and_ends__comes_and_goes_by_itself(serinus: Instance, windows: Windows) -> None:
    page = windows.open()
    page.clock.install()
    page.goto("/")

    rollout = serinus.roll_out("appearing")
    page.clock.run_for(ASKS_AGAIN_MS)

    link = page.get_by_role("link", name="appearing")
    expect(link).to_be_visible(timeout=CHANGES_WITHIN_MS)
    expect(page.get_by_role("region", name="Ended lately").get_by_role("link", name="appearing")).to_be_hidden()
    serinus.call("POST", f"/api/v1/rollouts/{rollout}/cancel", {"reason": "over"})
    page.clock.run_for(ASKS_AGAIN_MS)
    ended = page.get_by_role("region", name="Ended lately").get_by_role("link", name="appearing")
    expect(ended).to_be_visible(timeout=CHANGES_WITHIN_MS)


def test_status_page__session_has_ended__leads_to_the_login_and_asks_no_more(
    serinus: Instance, windows: Windows
) -> None:
    serinus.roll_out("watched-by-nobody")
    page = windows.open()
    page.clock.install()
    page.goto("/")
    asked = count(page, "request")
    page.route("**/", lambda route: route.fulfill(status=302, headers={"Location": "/admin/login/?next=/"}))

    come_back(page)

    fresh = page.locator(".fresh")
    expect(fresh).to_have_text("You were logged out: log in")
    expect(fresh.get_by_role("link")).to_have_attribute("href", f"{serinus.url}/admin/login/?next=/")
    expect(page.locator(".who")).to_be_hidden()
    so_far = len(asked)
    page.clock.run_for(ASKS_AGAIN_MS)
    assert len(asked) == so_far
    page.unroute("**/")
    come_back(page)
    expect(fresh).to_have_text(re.compile(r"^updated \d+ s ago$"))
    expect(page.locator(".who")).to_be_visible()
    with page.expect_request("**/"):
        page.clock.run_for(ASKS_AGAIN_MS)


def test_status_page__come_back_to_many_times__answered_once(serinus: Instance, windows: Windows) -> None:
    serinus.roll_out("watched-nervously")
    page = windows.open()
    page.goto("/")
    answered = count(page, "requestfinished")

    come_back(page, times=30)
    page.wait_for_timeout(2000)

    assert len(answered) == 1


def test_rollout_page__unreachable_until_it_has_ended__its_last_state_is_not_stale(
    serinus: Instance, windows: Windows
) -> None:
    windows.expect_fault("net::ERR_FAILED")
    rollout = serinus.roll_out("out-of-sight")
    page = windows.open()
    page.goto(f"/rollouts/{rollout}")
    page.route("**/rollouts/*", lambda route: route.abort())
    come_back(page)
    expect(page.locator(".fresh.stale")).to_contain_text("no answer from the server")

    serinus.call("POST", f"/api/v1/rollouts/{rollout}/cancel", {"reason": "over"})
    page.unroute("**/rollouts/*")
    come_back(page)

    expect(page.locator(".fresh")).to_contain_text("as of")
    expect(page.locator(".fresh.stale")).to_have_count(0)


def come_back(page: Page, *, times: int = 1) -> None:
    """To its tab, after having looked at another."""
    page.evaluate(f"for (let n = 0; n < {times}; n++) document.dispatchEvent(new Event('visibilitychange'))")


def count(page: Page, event: Literal["request", "requestfinished"]) -> list[Request]:
    """The requests of the page's script, to which more are added."""
    seen: list[Request] = []
    page.on(event, lambda request: seen.append(request) if request.resource_type == "fetch" else None)  # type: ignore[call-overload]  # of each name alone
    return seen


def test_roll_back__by_button_with_a_reason__everyone_gets_the_old_version(serinus: Instance, windows: Windows) -> None:
    rollout = serinus.roll_out("regretted")
    page = windows.open(OPERATOR)
    page.goto(f"/rollouts/{rollout}")

    page.get_by_role("link", name="Roll back").click()
    expect(page.get_by_text("Everyone will get v1.0 back at once")).to_be_visible()
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("alert")).to_contain_text("Reason: This field is required.")
    page.get_by_label("Reason").fill("Customers complain about the tone")
    page.get_by_role("button", name="Roll back").click()

    wait_until(lambda: {each["version"] for each in serinus.serve("regretted", 50)} == {"v1.0"}, within_s=1)
    expect(page).to_have_url(f"{serinus.url}/rollouts/{rollout}")
    expect(page).to_have_title(ROLLED_BACK)
    happened = page.get_by_role("region", name="What happened")
    expect(happened).to_contain_text(f"Rolled back by {OPERATOR}: “Customers complain about the tone”")
    expect(page.get_by_role("link", name="Roll back")).to_be_hidden()


def test_roll_back__meanwhile_paused_by_another__shows_what_has_changed(serinus: Instance, windows: Windows) -> None:
    rollout = serinus.roll_out("overtaken")
    page = windows.open(OPERATOR)
    page.goto(f"/rollouts/{rollout}/rollback")
    serinus.call("POST", f"/api/v1/rollouts/{rollout}/pause", {"reason": "let us look first"})

    page.get_by_label("Reason").fill("It is bad")
    page.get_by_role("button", name="Roll back").click()

    expect(page.get_by_role("region", name="What has changed since you looked")).to_contain_text("let us look first")
    expect(page.get_by_label("Reason")).to_have_value("It is bad")
    page.get_by_role("button", name="Roll back").click()
    expect(page).to_have_title(ROLLED_BACK)

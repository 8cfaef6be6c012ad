"""Everybody sees the buttons that they have the rights to; who may open what is held by tests/http/test_access.py."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.instance import EDITOR, NEWCOMER, OPERATOR, PASSWORD, RELEASER, Instance
from tests.browser.windows import Windows

STEERING = ["Pause", "Roll back", "Cancel"]
OF_A_ROLLOUT = {EDITOR: [], RELEASER: [*STEERING, "Promote"], OPERATOR: STEERING, NEWCOMER: [], "": []}
OF_A_PROMPT = {
    EDITOR: ["Edit the draft", "Move a label"],
    RELEASER: ["Edit the draft", "Move a label"],
    OPERATOR: [],
}


@pytest.fixture(scope="module")
def rollout(serinus: Instance) -> str:
    return serinus.roll_out("guarded")


def links_of(page: Page, *names: str) -> set[str]:
    return {name for name in names if page.get_by_role("main").get_by_role("link", name=name).count()}


@pytest.mark.parametrize("person", OF_A_ROLLOUT, ids=lambda person: person or "nobody")
def test_rollout_page__offers_what_the_person_may_do(person: str, rollout: str, windows: Windows) -> None:
    page = windows.open(person)

    page.goto(f"/rollouts/{rollout}")

    expect(page.get_by_role("heading", level=1)).to_contain_text("guarded")
    assert links_of(page, *STEERING, "Promote", "Resume", "Start") == set(OF_A_ROLLOUT[person])


@pytest.mark.parametrize("person", OF_A_PROMPT)
def test_prompt__offers_what_the_person_may_do(person: str, rollout: str, windows: Windows) -> None:
    page = windows.open(person)

    page.goto("/admin/registry/prompt/?q=guarded")
    page.get_by_role("link", name="guarded", exact=True).click()

    expect(page.get_by_role("heading", level=2, name="guarded")).to_be_visible()
    assert links_of(page, "Edit the draft", "Move a label") == set(OF_A_PROMPT[person])


def test_refusal__says_which_right_is_missing(rollout: str, windows: Windows) -> None:
    page = windows.open(EDITOR)
    windows.expect_fault("403 (Forbidden)")

    page.goto(f"/rollouts/{rollout}/rollback")

    expect(page.get_by_role("heading", name="You may not do this")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("the right to pause, resume, roll back and cancel rollouts")


def test_act__by_somebody_not_logged_in__leads_through_the_login(rollout: str, windows: Windows) -> None:
    page = windows.open()

    page.goto(f"/rollouts/{rollout}/rollback")
    page.get_by_label("Username").fill(RELEASER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()

    expect(page).to_have_url(f"/rollouts/{rollout}/rollback")
    expect(page.get_by_role("button", name="Roll back")).to_be_visible()

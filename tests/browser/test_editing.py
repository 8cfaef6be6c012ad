"""An editor changes a text: sees what comes of it, loses nothing to another who does too, and publishes it."""

import re

from playwright.sync_api import Dialog, Page, expect

from tests.browser.instance import EDITOR, OTHER_EDITOR, RELEASER, Instance
from tests.browser.windows import Windows

TEXT = "Greet {{ name }} warmly."


def write(serinus: Instance, prompt: str) -> None:
    """A prompt with one version, which production serves."""
    serinus.call("POST", "/api/v1/prompts", {"name": prompt})
    version = {"type": "text", "template": TEXT, "notes": "first"}
    serinus.call("POST", f"/api/v1/prompts/{prompt}/versions", version)
    serinus.point(prompt, "1.0")


def open_prompt(page: Page, prompt: str) -> None:
    """By the search, as people come to it."""
    page.goto("/admin/registry/prompt/")
    page.get_by_role("main").get_by_role("textbox", name="Search").fill(prompt)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=prompt, exact=True).click()


def open_draft(page: Page, prompt: str) -> None:
    open_prompt(page, prompt)
    page.get_by_role("link", name="Edit the draft").click()


def test_draft__typed__preview_step_and_difference_follow(serinus: Instance, windows: Windows) -> None:
    write(serinus, "followed")
    page = windows.open(EDITOR)
    open_draft(page, "followed")

    page.get_by_label("Template").fill("Greet {{ name }} warmly at {{ hour }}.")
    page.get_by_role("region", name="Example").get_by_label("hour").fill("noon")

    expect(page.get_by_role("region", name="Preview")).to_contain_text("warmly at noon.")
    publishing = page.get_by_role("region", name="Publishing this text")
    expect(publishing).to_contain_text("Smallest step from v1.0: major, to v2.0")
    expect(publishing).to_contain_text("hour")
    difference = page.get_by_role("region", name="What changes")
    expect(difference.get_by_role("insertion")).to_contain_text("at {{ hour }}")
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_text("Saved revision 1 of the draft.")).to_be_visible()
    expect(page.get_by_label("Template")).to_have_value("Greet {{ name }} warmly at {{ hour }}.")


def test_draft__chat__a_long_message_is_seen_whole(serinus: Instance, windows: Windows) -> None:
    serinus.call("POST", "/api/v1/prompts", {"name": "talkative"})
    messages = [{"role": "system", "content": "Never tell a customer what you do not know. " * 20}]
    version = {"type": "chat", "template": messages, "notes": "first"}
    serinus.call("POST", "/api/v1/prompts/talkative/versions", version)
    page = windows.open(EDITOR)
    open_draft(page, "talkative")

    card = page.get_by_label("Content")
    expect(card).to_be_visible()
    expect(page.get_by_text("For chat write a JSON list")).to_be_hidden()
    assert card.evaluate("field => field.scrollHeight <= field.clientHeight")
    card.fill("Briefly.")
    assert card.evaluate("field => field.clientHeight") < 120
    page.get_by_role("button", name="Edit as JSON").click()
    expect(page.get_by_text("For chat write a JSON list")).to_be_visible()


def test_draft__without_script__previewed_by_the_button(serinus: Instance, windows: Windows) -> None:
    write(serinus, "scriptless")
    page = windows.open(EDITOR, java_script_enabled=False)
    open_draft(page, "scriptless")

    page.get_by_label("Template").fill("Greet {{ name }} at length.")
    page.get_by_role("region", name="Example").get_by_label("name").fill("Ada")
    page.get_by_role("button", name="Preview").click()

    expect(page.get_by_role("region", name="Preview")).to_contain_text("Greet Ada at length.")
    expect(page.get_by_label("Template")).to_have_value("Greet {{ name }} at length.")


def test_draft__left_with_unsaved_text__asked_first(serinus: Instance, windows: Windows) -> None:
    write(serinus, "unsaved")
    page, asked = windows.open(EDITOR), []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    open_draft(page, "unsaved")
    page.get_by_role("region", name="Example").get_by_label("name").fill("Ada")
    page.reload()
    assert asked == []  # an example is no text of the draft

    page.get_by_label("Template").press_sequentially("More. ")
    page.get_by_role("link", name="Home").click(no_wait_after=True)
    expect(page.get_by_label("Template")).to_have_value(f"More. {TEXT}")
    assert asked == ["beforeunload"]

    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_text("Saved revision 1 of the draft.")).to_be_visible()
    page.get_by_role("link", name="Home").click()
    expect(page).to_have_url(re.compile("/admin/$"))
    assert asked == ["beforeunload"]


def test_draft__saved_by_another_meanwhile__both_texts_are_kept(serinus: Instance, windows: Windows) -> None:
    write(serinus, "contested")
    first, second = windows.open(EDITOR), windows.open(OTHER_EDITOR)
    for page, word in ((first, "briefly"), (second, "loudly")):
        open_draft(page, "contested")
        page.get_by_label("Template").fill(f"Greet {{{{ name }}}} {word}.")

    first.get_by_role("button", name="Save draft").click()
    expect(first.get_by_text("Saved revision 1 of the draft.")).to_be_visible()
    second.get_by_role("button", name="Save draft").click()

    stored = second.get_by_role("region", name=f"Stored by user:{EDITOR} while you edited, revision 1").first
    expect(stored).to_contain_text("Greet {{ name }} briefly.")
    expect(second.get_by_label("Template")).to_have_value("Greet {{ name }} loudly.")
    second.get_by_role("button", name="Take this text into the form").click()
    expect(second.get_by_label("Template")).to_have_value("Greet {{ name }} briefly.")
    expect(second.get_by_role("region", name="Your text").first).to_contain_text("Greet {{ name }} loudly.")


def test_publish__without_and_with_notes__then_a_version(serinus: Instance, windows: Windows) -> None:
    write(serinus, "published")
    page = windows.open(EDITOR)
    open_draft(page, "published")

    page.get_by_label("Template").fill("Greet {{ name }} very warmly.")
    page.get_by_role("button", name="Save and go on to publish").click()
    expect(page.get_by_text("A version needs notes.")).to_be_visible()
    page.get_by_role("link", name="Write them in the draft.").click()
    page.get_by_label("Notes").fill("Customers asked for more warmth")
    page.get_by_role("button", name="Save and go on to publish").click()
    expect(page.get_by_role("region", name="What changes").get_by_role("insertion")).to_contain_text("very")
    page.get_by_role("button", name="Publish").click()

    expect(page.get_by_text("Published published@v1.1.")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("Customers asked for more warmth")
    expect(page.get_by_role("textbox")).to_have_count(0)  # a version is read, never changed


def test_label__restored_to_what_was_live__serves_it_again(serinus: Instance, windows: Windows) -> None:
    serinus.publish("restored")
    serinus.point("restored", "1.1")
    page = windows.open(RELEASER)
    open_prompt(page, "restored")

    page.get_by_role("row").filter(has_text="production").get_by_role("link").first.click()
    page.get_by_role("link", name="Restore v1.0").click()
    page.get_by_label("Reason").fill("It was better before")
    page.get_by_role("button", name="Restore").click()

    expect(page.get_by_role("region", name="restored:production")).to_contain_text("Points at restored@v1.0")
    expect(page.get_by_role("region", name="History").first).to_contain_text("It was better before")

"""docs/reference/sdk.md says of reports what is true."""

import inspect
from pathlib import Path

from serinus import answers, delivery, lane, outbox
from serinus.client import END_WITHIN_S
from serinus.reports import Reports

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/sdk.md").read_text(encoding="utf-8")
SECTION = " ".join(PAGE.split("## Reports\n")[1].split("\n## ")[0].split())


def test_reports__numbers__those_of_the_code() -> None:
    defaults = {name: one.default for name, one in inspect.signature(Reports).parameters.items()}

    assert f"up to {lane.MOST_AT_ONCE} items or {lane.MOST_BYTES_AT_ONCE // 2**20} MiB" in SECTION
    assert (outbox.GATHERED_FOR_S, "every half second" in SECTION) == (0.5, True)
    assert f"drip in for {delivery.REQUEST_S:g} s" in SECTION
    assert (
        f"after {answers.FIRST_PAUSE_S:g} s, then twice as long each time up to {answers.LONGEST_PAUSE_S:g} s"
        in SECTION
    )
    assert f"after {answers.LONGEST_PAUSE_S / 2:g} to {answers.LONGEST_PAUSE_S:g} s" in SECTION
    assert f"`Retry-After`, of {answers.LONGEST_RETRY_AFTER_S:g} s at most" in SECTION
    assert f"{defaults['most_queued']:,} reports".replace(",", " ") in SECTION
    assert f"or {outbox.MOST_BYTES_QUEUED // 2**20} MiB are queued" in SECTION
    assert f"more than {outbox.MOST_BYTES_OF_ONE // 2**10} KiB" in SECTION
    assert f"up to {END_WITHIN_S:g} s, of all clients together, for what is queued" in SECTION
    assert (outbox.WARNED_EVERY_S, "once a minute" in SECTION) == (60, True)


def test_reports__every_status_that_is_told_apart__named() -> None:
    for status in (*answers.ABOUT_ITEMS, *answers.FOR_NOW):
        assert str(status) in SECTION

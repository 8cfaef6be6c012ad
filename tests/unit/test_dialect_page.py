"""docs/reference/otlp.md shows the dialects' tables as they are."""

from pathlib import Path

import pytest

from observability.core.dialects import WANTED
from observability.dialect_page import BEGIN, END, PAGE, markdown, publish


def test_page__is_as_the_tables_are() -> None:
    assert f"{BEGIN}\n\n{markdown()}\n{END}" in PAGE.read_text()


def test_page__names_everything_that_is_read() -> None:
    pages = PAGE.read_text() + PAGE.with_name("otlp-logs.md").read_text()  # which has the evaluations among the events

    missing = [key for key in sorted(WANTED.attributes | WANTED.events) if f"`{key}`" not in pages]

    assert missing == []


def test_publish__only_what_is_between_the_markers_changes(tmp_path: Path) -> None:
    page = tmp_path / "otlp.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    publish(page)

    assert page.read_text() == f"before\n{BEGIN}\n\n{markdown()}\n{END}\nafter\n"


def test_publish__page_without_markers__refused(tmp_path: Path) -> None:
    page = tmp_path / "otlp.md"
    page.write_text("nothing to replace")

    with pytest.raises(ValueError, match="expected the markers"):
        publish(page)

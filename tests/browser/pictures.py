"""Pictures of the pages, for people to look at: only `make pictures` takes them, as they prove nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.windows import PHONE, WIDE

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "var" / "pictures"
README = ROOT / "docs" / "rollout.png"


@dataclass(frozen=True, slots=True)
class Camera:
    on: bool

    def take(self, page: Page, name: str) -> None:
        """The whole page in light, in dark and on a phone."""
        if not self.on:
            return
        page.screenshot(path=FOLDER / f"{name}.light.png", full_page=True)
        page.emulate_media(color_scheme="dark")
        page.screenshot(path=FOLDER / f"{name}.dark.png", full_page=True)
        page.emulate_media(color_scheme="light")
        with on_a_phone(page):
            page.screenshot(path=FOLDER / f"{name}.phone.png", full_page=True)

    def take_for_readme(self, page: Page) -> None:
        """What README.md shows: of the same size each time."""
        if self.on:
            page.screenshot(path=README, clip={"x": 0, "y": 0, **WIDE})


@contextmanager
def on_a_phone(page: Page) -> Iterator[None]:
    page.set_viewport_size(PHONE)
    yield
    page.set_viewport_size(WIDE)


def spread(page: Page) -> int:
    """By how many pixels a page is wider than its window, so that it has to be pushed from side to side."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

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

BEYOND = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const wide = [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > width);
  return ["a page that is too wide", ...wide.map((one) => one.outerHTML.slice(0, 200))];
}"""


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
        """What README.md shows: of the same size each time, with other figures. So its words there have none."""
        if self.on:
            page.screenshot(path=README, clip={"x": 0, "y": 0, **WIDE})


@contextmanager
def on_a_phone(page: Page) -> Iterator[None]:
    page.set_viewport_size(PHONE)
    try:
        yield
    finally:
        page.set_viewport_size(WIDE)


def beyond(page: Page) -> list[str]:
    """What makes a page wider than its window, so that it has to be pushed from side to side: its last few elements."""
    found: list[str] = page.evaluate(BEYOND)
    return found[-3:]

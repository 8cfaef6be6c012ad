"""Every page of the documentation can be reached from docs/README.md, and every link between pages leads somewhere."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT

FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ELSEWHERE = re.compile(r"[a-z]+:")


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


@cache
def anchors(page: Path) -> frozenset[str]:
    """As GitHub makes them of headings: small letters, digits, hyphens for spaces, nothing else."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    texts = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return frozenset(re.sub(r"[^\w\- ]", "", text).replace(" ", "-") for text in texts)


def links(page: Path) -> list[tuple[Path, str]]:
    """Files of this repository, with the anchor."""
    found = [link.partition("#") for link in LINK.findall(prose(page)) if not ELSEWHERE.match(link)]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in found]


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md"])
def test_page__links__lead_to_files_and_headings_that_are_there(page: str) -> None:
    broken = [
        f"{target.relative_to(ROOT)}#{anchor}"
        for target, anchor in links(ROOT / page)
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]

    assert broken == []


def test_docs__every_page__reached_from_the_index() -> None:
    reached, new = set[Path](), {ROOT / "docs" / "README.md"}
    while new:
        reached |= new
        new = {target for page in new for target, _ in links(page) if target.suffix == ".md"} - reached

    assert {ROOT / page for page in PAGES if page.startswith("docs/")} <= reached
    assert ROOT / "docs" / "README.md" in {target for target, _ in links(ROOT / "README.md")}

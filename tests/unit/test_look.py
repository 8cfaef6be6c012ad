"""The stylesheets: every text can be read on every ground, in light and dark, and nothing is fetched."""

import re
from itertools import product
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "static"
CSS = (STATIC / "serinus.css").read_text()
ADMINS_DIFFERENCES = re.findall(r"\{ (--inserted: .*?) \}", (STATIC / "admin.css").read_text())
AA = 4.5  # WCAG 2.2, success criterion 1.4.3, for text of any size
GROUNDS = ("paper", "card", "wash", "bad-wash", "good-wash", "warn-wash")
TEXTS = ("ink", "soft", "link", "good", "bad", "warn", "canary-ink")


def colours(scheme: str) -> dict[str, str]:
    """By name, of the first or, for what it changes, the second :root."""
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if scheme == "light" else light + dark))


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast__black_on_white__as_the_standard_has_it() -> None:
    assert contrast("#000000", "#ffffff") == 21


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast__every_text_on_every_ground__can_be_read(scheme: str) -> None:
    found = colours(scheme)

    faint = {
        f"{text} on {ground}": round(contrast(found[text], found[ground]), 2)
        for text, ground in product(TEXTS, GROUNDS)
        if contrast(found[text], found[ground]) < AA
    }

    assert faint == {}


def test_texts__have_no_colour_but_those_that_are_checked() -> None:
    used = set(re.findall(r"(?<![-\w])color: var\(--([\w-]+)\)", CSS)) | set(
        re.findall(r"text[^{}]*\{[^}]*fill: var\(--([\w-]+)\)", CSS)
    )
    grounds = set(re.findall(r"background: var\(--([\w-]+)\)", CSS))

    assert used <= set(TEXTS)
    assert grounds - {"canary"} <= set(GROUNDS)  # the brand's dot has no text


@pytest.mark.parametrize("declared", range(3), ids=["light", "dark, chosen", "dark, of the system"])
def test_contrast__differences_in_the_admin__can_be_read(declared: int) -> None:
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", ADMINS_DIFFERENCES[declared]))

    for kind in ("inserted", "deleted"):
        assert contrast(found[kind], found[f"{kind}-wash"]) >= AA


def test_differences_in_the_admin__the_same_dark_whoever_chose_it() -> None:
    assert ADMINS_DIFFERENCES[1] == ADMINS_DIFFERENCES[2]


@pytest.mark.parametrize("stylesheet", sorted(STATIC.glob("*.css")), ids=lambda path: path.name)
def test_stylesheet__fetches_nothing(stylesheet: Path) -> None:
    css = stylesheet.read_text()

    assert "url(" not in css
    assert "@import" not in css

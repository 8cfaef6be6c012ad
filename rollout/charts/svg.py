"""Elements of SVG as strings that are safe to print: what is not one already is escaped.

A list of rollouts has more than a thousand, so they are put together without format_html.
"""

from collections.abc import Iterable

from django.utils.html import conditional_escape
from django.utils.safestring import SafeString

Attribute = str | float | None


def element(name: str, /, *children: str, **attributes: Attribute) -> SafeString:
    """attributes: `class_` is class, `text_anchor` is text-anchor; a number to a tenth; None is left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return SafeString(f"<{name}{written}>{joined(children)}</{name}>")


def picture(
    *children: str,
    kind: str,
    width: float,
    height: float,
    title: str,
    description: str = "",
    stretched: bool = False,
) -> SafeString:
    """An image of these units, scaled to the size that its class gives it; stretched: not in proportion."""
    told = [element("title", title), *([element("desc", description)] if description else [])]
    return element(
        "svg",
        *told,
        *children,
        class_=kind,
        viewBox=f"0 0 {width:g} {height:g}",
        preserveAspectRatio="none" if stretched else None,
        role="img",
    )


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> SafeString:
    return element("line", class_=kind, x1=x1, y1=y1, x2=x2, y2=y2)


def text(words: str, x: float, y: float, *, kind: str | None = None, anchor: str | None = None) -> SafeString:
    return element("text", words, class_=kind, x=x, y=y, text_anchor=anchor)


def joined(parts: Iterable[str]) -> SafeString:
    return SafeString("".join(conditional_escape(part) for part in parts))


def _value(value: str | float) -> str:
    return conditional_escape(value) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")

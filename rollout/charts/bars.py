"""Which of them is worst? A bar for each, with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from rollout.charts.scales import Scale, is_known, known
from rollout.charts.svg import element, line

WIDTH, HEIGHT = 300.0, 18.0


@dataclass(frozen=True, slots=True)
class Bar:
    """value: None has no bar. value_words: the value and whatever else the reader needs, such as its interval."""

    words: str
    value: float | None
    value_words: str
    interval: tuple[float, float] | None = None
    canary: bool = False


def bar_list(bars: Sequence[Bar], *, title: str) -> SafeString:
    """A list whose words are text; the bars beside them, all on one scale from 0, say nothing that these do not."""
    ends = [end for bar in bars if bar.interval for end in bar.interval]
    highest = max(known([*(bar.value for bar in bars), *ends]), default=0.0)
    x = Scale(0.0, highest if highest > 0 else 1.0, 0.0, WIDTH)
    rows = format_html_join(
        "",
        '<li><span class="ref">{}</span>{}<span class="value">{}</span></li>',
        ((bar.words, _bar(bar, x), bar.value_words) for bar in bars),
    )
    return format_html('<ol class="bars" aria-label="{}">{}</ol>', title, rows)


def _bar(bar: Bar, x: Scale) -> SafeString:
    middle = HEIGHT / 2
    parts = []
    if bar.value is not None and is_known(bar.value):
        kind = "bar canary" if bar.canary else "bar"
        parts.append(element("rect", class_=kind, x=0.0, y=4.0, width=x(bar.value), height=HEIGHT - 8))
    if bar.interval and len(known(bar.interval)) == 2:
        low, high = bar.interval
        parts.append(line("whisker", x(low), middle, x(high), middle))
    return element("svg", *parts, viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", preserveAspectRatio="none", aria_hidden="true")

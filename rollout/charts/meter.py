"""How much of it is used up?"""

import math

from django.utils.safestring import SafeString

from rollout.charts.svg import element, picture

WIDTH, HEIGHT = 300.0, 8.0


def meter(share: float, *, words: str) -> SafeString:
    """share: 0 to 1; what is beyond is shown as full. words: what it measures and how much that is."""
    filled = WIDTH * min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
    return picture(
        element("rect", class_="track", width=WIDTH, height=HEIGHT),
        element("rect", class_="fill", width=filled, height=HEIGHT),
        kind="meter",
        width=WIDTH,
        height=HEIGHT,
        title=words,
        stretched=True,
    )

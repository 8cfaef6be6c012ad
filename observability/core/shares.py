"""Shares as people write them, in whole basis points."""

from decimal import Decimal
from typing import Any


def read_share_bp(written: Any) -> int:
    """A share such as "5%", "0.1%" or 0.05 in basis points. Raises ValueError unless it is a whole number of them."""
    try:
        text = "" if isinstance(written, bool) else str(written).strip()
        share = Decimal(text[:-1]) * 100 if text.endswith("%") else Decimal(text) * 10_000
    except ArithmeticError:  # of Decimal: no number, or one beyond all bounds
        raise ValueError(f'expected a share such as "5%" or 0.05, got {written!r}') from None
    if not share.is_finite() or share != share.to_integral_value() or not 0 <= share <= 10_000:
        raise ValueError(f"expected 0 to 100 % in steps of 0.01 %, got {written!r}")
    return int(share)

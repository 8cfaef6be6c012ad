"""Money and shares in what alerts say: as people write them, and money as programs read it."""

from decimal import Decimal


def dollars(usd: Decimal) -> str:
    """`$1 204.50`, as the pages write it."""
    return f"${usd:,.2f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def percent(share: Decimal | float, decimals: int = 0) -> str:
    """share: of the whole, 1 for all of it."""
    return f"{100 * share:.{decimals}f} %"


def exact(usd: Decimal) -> str:
    """To a millionth of a dollar, in plain digits."""
    return f"{round(usd, 6).normalize():f}"

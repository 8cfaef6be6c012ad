"""Who spends ten times as much as on a typical day? Decided during the day, by what is spent up to now."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

TIMES = 10
LEAST_DAYS = 3  # with spending, before somebody has a typical day of their own


@dataclass(frozen=True, slots=True)
class Anomaly:
    """typical: USD of a typical day; own: whether of the spender's own days, else of the others'."""

    spent: Decimal
    typical: Decimal
    own: bool

    @property
    def times(self) -> float:
        return float(self.spent / self.typical)


def anomaly_of(spent: Decimal, days: Sequence[Decimal], *, others: Decimal | None, floor: Decimal) -> Anomaly | None:
    """spent: today, up to now. days: what was spent on each earlier day with spending. others: on a typical day of the
    others, by which a newcomer is judged; None where there is none. floor: less than that is never an anomaly."""
    own = len(days) >= LEAST_DAYS
    typical = median(days) if own else others
    if typical is None or spent < floor or spent < TIMES * typical:
        return None
    return Anomaly(spent, typical, own)

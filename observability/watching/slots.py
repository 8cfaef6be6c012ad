"""Which of many things of one kind get an alert of their own: a few, and the same ones for as long as they hold."""

from collections.abc import Collection, Sequence

MOST_ALERTS = 5  # of one budget, or of the anomalies of one dimension; the rest is told as a number


def chosen(causes: Sequence[str], *, open_already: Collection[str], most: int = MOST_ALERTS) -> set[str]:
    """Those that have an alert keep it, in their order; the places that are left go to the first of the others.

    So an alert is not resolved because another one has overtaken it.
    """
    kept = [cause for cause in causes if cause in open_already]
    new = [cause for cause in causes if cause not in open_already]
    return {*[*kept, *new][:most]}

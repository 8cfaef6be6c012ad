"""What the page of judging shows, part by part: values ready to be printed, so that the template only places them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from observability.models import Missing
from observability.selectors.judging import Judged, Key
from rollout.formats import DASH, count, duration, estimate, milliseconds, money

REASONS_NAMED = 3
WORDS: Mapping[str, str] = {
    Missing.NO_OUTPUT: "no text was answered",
    Missing.NO_TEXT: "the texts did not come",
    Missing.NO_CONTEXTS: "nothing was retrieved",
    Missing.UNREACHABLE: "judge not reached",
    Missing.TIMEOUT: "judge too slow",
    Missing.REFUSED: "judge refused",
    Missing.NOT_JSON: "answer not as asked for",
    Missing.OUT_OF_RANGE: "score out of range",
    Missing.NOT_INSTALLED: "package not installed",
    Missing.FAILED: "evaluator failed",
    Missing.BUDGET: "budget used up",
    Missing.TOO_OLD: "waited too long",
}


@dataclass(frozen=True, slots=True)
class Row:
    prompt: str
    evaluator: str
    scored: str
    missing: str
    why: str
    cost: str
    per_call: str
    median: str
    p95: str
    waiting: str


def headline(found: Mapping[Key, Judged], days: int) -> str:
    """How many calls were judged, and how many scores are missing."""
    within = "24 hours" if days == 1 else f"{days} days"
    scored, settled = sum(of.scored for of in found.values()), sum(of.settled for of in found.values())
    if not settled:
        return f"Nothing was judged in the last {within}"
    said = f"{count(scored)} {'score' if scored == 1 else 'scores'} in the last {within}"
    if scored == settled:
        return said
    return f"{said}, {estimate((settled - scored) / settled, 'share')} of all that were asked for are missing"


def row(key: Key, of: Judged, at: datetime) -> Row:
    missing = of.missing.total()
    share = f" ({estimate(missing / of.settled, 'share')})" if missing else ""
    return Row(
        prompt=key.prompt,
        evaluator=key.version,
        scored=count(of.scored),
        missing=f"{count(missing)}{share}" if missing else DASH,
        why=", ".join(f"{WORDS[reason]} ({count(n)})" for reason, n in of.missing.most_common(REASONS_NAMED)),
        cost=money(float(of.cost_usd) if of.priced else None),
        per_call=money(float(of.cost_usd) / of.priced if of.priced else None),
        median=milliseconds(of.latency_p50_ms) if of.latency_p50_ms is not None else DASH,
        p95=milliseconds(of.latency_p95_ms) if of.latency_p95_ms is not None else DASH,
        waiting=_waiting(of, at),
    )


def _waiting(of: Judged, at: datetime) -> str:
    if not of.waiting or of.oldest_at is None:
        return DASH
    return f"{count(of.waiting)}, the oldest for {duration(max(0.0, (at - of.oldest_at).total_seconds()))}"

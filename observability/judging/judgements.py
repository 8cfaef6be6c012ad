"""What an evaluator is given, and what it gives: a judgement, or why there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from observability.models.evaluations import Missing

LONGEST_LABEL = 200  # characters, as of a score
LONGEST_REASON = 2_000


@dataclass(frozen=True, slots=True)
class Material:
    """What there is of one call. documents: what was retrieved for it. response_schema: of the version that it used.

    input_text, output_text: None where the call did not bring it.
    """

    input_text: str | None
    output_text: str | None
    documents: Sequence[str]
    finish_reason: str | None
    response_schema: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """value: 0 to 1. model: as its provider names it. cost_usd: None where it has no price, or nothing was asked."""

    value: float
    label: str | None
    reason: str | None
    model: str | None
    cost_usd: Decimal | None
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Missed:
    """Why there is no judgement. detail: for people, without texts of the call and without keys.

    try_again: whether the same question may bring a judgement later. retry_after_s: how long the provider asked to
    wait. model, cost_usd, latency_ms: of the question, where one was asked.
    """

    missing: Missing
    detail: str
    try_again: bool
    retry_after_s: float | None = None
    model: str | None = None
    cost_usd: Decimal | None = None
    latency_ms: float | None = None


def without_output(material: Material) -> Missed | None:
    """What to answer where there is no output to look at; None where there is one."""
    if material.output_text is not None:
        return None
    if material.input_text is None:
        return Missed(Missing.NO_TEXT, "the call came without its texts", try_again=False)
    return Missed(Missing.NO_OUTPUT, "the call answered no text", try_again=False)

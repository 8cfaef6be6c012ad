"""What one call tells a rollout: which measures it has, and the bin of each."""

from decimal import Decimal

from observability.core.calls import CallFacts
from observability.core.evidence import (
    COST_PER_CALL,
    ERROR_RATE,
    INTER_TOKEN_LATENCY,
    LATENCY,
    OUTPUT_VALID,
    SMALLEST,
    TOKENS,
    TOP_BIN,
    TTFT,
    log_bin,
)

BITS = {
    measure: 1 << position
    for position, measure in enumerate(
        (ERROR_RATE, TOKENS, COST_PER_CALL, LATENCY, TTFT, INTER_TOKEN_LATENCY, OUTPUT_VALID)
    )
}


def measures_of(call: CallFacts, *, cost_usd: Decimal | None, output_valid: bool | None) -> list[tuple[str, int]]:
    """(measure, bin) of everything that the call was observed for. output_valid: None where it was not checked.

    A failed call costs what it costs, but its times and its output say nothing about those of an answer.
    """
    found = [(ERROR_RATE, TOP_BIN if call.error else 0)]
    if call.input_tokens is not None and call.output_tokens is not None:
        found.append(_logarithmic(TOKENS, call.input_tokens + call.output_tokens))
    if cost_usd is not None:
        found.append(_logarithmic(COST_PER_CALL, float(cost_usd)))
    if call.error:
        return found
    if call.duration_ms is not None:
        found.append(_logarithmic(LATENCY, call.duration_ms))
    if call.ttft_ms is not None:
        found.append(_logarithmic(TTFT, call.ttft_ms))
    if call.inter_token_ms is not None:
        found.append(_logarithmic(INTER_TOKEN_LATENCY, call.inter_token_ms))
    if output_valid is not None:
        found.append((OUTPUT_VALID, TOP_BIN if output_valid else 0))
    return found


def _logarithmic(measure: str, value: float) -> tuple[str, int]:
    return measure, log_bin(value, SMALLEST[measure])

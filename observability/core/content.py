"""Stub."""

from observability.core.calls import CallFacts


def input_text(call: CallFacts) -> str | None:
    return None


def output_text(call: CallFacts) -> str | None:
    return None

"""A score before it is stored, and how it finds the call it is about."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NewScore:
    """A score as it was sent. Ids of traces and spans in lower-case hexadecimal; at least one of the four targets."""

    name: str
    value: float
    source: str
    id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    response_id: str | None = None
    exposure: str | None = None
    label: str | None = None
    comment: str | None = None
    evaluator: str | None = None

    @property
    def target(self) -> str:
        """What it is about, by the most exact of its targets; an exposure only where nothing names a call."""
        if self.span_id:
            return f"span:{self.trace_id}:{self.span_id}" if self.trace_id else f"span:{self.span_id}"
        if self.response_id:
            return f"response:{self.response_id}"
        return f"trace:{self.trace_id}" if self.trace_id else f"exposure:{self.exposure}"

    @property
    def names_a_call(self) -> bool:
        return not self.target.startswith("exposure:")


def targets_of_call(
    *, trace_id: bytes, span_id: bytes, response_id: str | None, has_prompt: bool, is_llm_call: bool
) -> Iterator[str]:
    """Every target that means this call. A trace stands for the newest of its LLM calls that names a prompt."""
    trace, span = trace_id.hex(), span_id.hex()
    yield f"span:{trace}:{span}"
    yield f"span:{span}"
    if response_id:
        yield f"response:{response_id}"
    if has_prompt and is_llm_call:
        yield f"trace:{trace}"

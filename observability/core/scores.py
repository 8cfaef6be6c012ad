"""A score before it is stored, and how it finds the call it is about."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from observability.core.times import NS_PER_S

SAME_WITHIN_NS = NS_PER_S  # apart, for two evaluations that say the same to be one that was sent twice


@dataclass(frozen=True, slots=True)
class NewScore:
    """A score as it was sent. Ids of traces and spans in lower-case hexadecimal; at least one of the four targets.

    evaluated_ns: when an instrumentation says that it was given, in nanoseconds since 1970. Such a score has mostly no
    id: it is told from others by what it says and when. None for one that is recorded as it comes.
    probability: with which its call was chosen to be judged; None where it was not chosen by us. by_design: False where
    its call was chosen for what became of it, so that the score is no evidence.
    """

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
    evaluated_ns: int | None = None
    probability: float | None = None
    by_design: bool = True

    @property
    def target(self) -> str:
        """What it is about, by the most exact of its targets; an exposure only where nothing names a call."""
        if self.span_id:
            return f"span:{self.trace_id}:{self.span_id}" if self.trace_id else f"span:{self.span_id}"
        if self.response_id:
            return f"response:{self.response_id}"
        return f"trace:{self.trace_id}" if self.trace_id else f"exposure:{self.exposure}"

    @property
    def second_target(self) -> str | None:
        """An instrumentation names the span it was in, which need not be the call, and the response where it can."""
        by_both = self.evaluated_ns is not None and self.span_id and self.response_id
        return f"response:{self.response_id}" if by_both else None

    @property
    def names_a_call(self) -> bool:
        return not self.target.startswith("exposure:")

    @property
    def key(self) -> str | None:
        """Its id, or for an evaluation without one a hash of what it says; None where each is a score of its own.

        Evaluations within the same second have the same key, so that the database itself refuses the second of two
        that come at once. Many calls share an exposure: there only the very same moment makes the same key.
        """
        if self.id or self.evaluated_ns is None:
            return self.id
        moment = self.evaluated_ns // NS_PER_S if self.names_a_call else self.evaluated_ns
        return "otel:" + sha256(f"{self.target}\n{self.name}\n{self.value}\n{moment}".encode()).hexdigest()


def targets_of_call(
    *,
    trace_id: bytes,
    span_id: bytes,
    response_id: str | None,
    has_prompt: bool,
    is_llm_call: bool,
    other_spans: Iterable[tuple[bytes, bytes]] = (),
) -> Iterator[str]:
    """Every target that means this call. A trace stands for the newest of its LLM calls that names a prompt.

    other_spans: (trace id, span id) of the spans that tell of it beside the one that stands for it.
    """
    for trace, span in [(trace_id, span_id), *other_spans]:
        yield f"span:{trace.hex()}:{span.hex()}"
        yield f"span:{span.hex()}"
    if response_id:
        yield f"response:{response_id}"
    if has_prompt and is_llm_call:
        yield f"trace:{trace_id.hex()}"

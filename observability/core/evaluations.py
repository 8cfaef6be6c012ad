"""OpenTelemetry's evaluation results become scores, whether a span event or a log record brings them.

Source: event `gen_ai.evaluation.result` of open-telemetry/semantic-conventions-genai. Its name may be any text and its
value any number; a score has a name of a-z0-9_.- and a value from 0 to 1. A name is rewritten, a value never: what does
not fit is counted with its reason.
"""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from observability.core.conversions import clean, text
from observability.core.evidence import BUILT_IN_METRICS, parse_exposure
from observability.core.otlp import Span
from observability.core.scores import NewScore

EVALUATION = "gen_ai.evaluation.result"
NAME, VALUE, LABEL = "gen_ai.evaluation.name", "gen_ai.evaluation.score.value", "gen_ai.evaluation.score.label"
EXPLANATION, ERROR_TYPE, RESPONSE_ID = "gen_ai.evaluation.explanation", "error.type", "gen_ai.response.id"
EXPOSURE, SOURCE, OPENLIT_ID = "serinus.exposure", "serinus.score.source", "openlit.score.idempotency_key"
EVALUATORS = ("gen_ai.evaluation.evaluator.name", "gen_ai.evaluator.name", "gen_ai.agent.name")
ATTRIBUTES = frozenset(
    {NAME, VALUE, LABEL, EXPLANATION, ERROR_TYPE, RESPONSE_ID, EXPOSURE, SOURCE, OPENLIT_ID, *EVALUATORS}
)

SOURCES = frozenset({"judge", "check", "user", "human"})
FEEDBACK = re.compile(r"user[_-]feedback")
VALUES_OF_LABELS = {"true": 1.0, "yes": 1.0, "pass": 1.0, "passed": 1.0}
VALUES_OF_LABELS |= {"false": 0.0, "no": 0.0, "fail": 0.0, "failed": 0.0}
NOT_IN_NAMES = re.compile(r"[^a-z0-9_.-]+")
LONGEST_NAME = 100
LONGEST_COMMENT = 10_000

NO_NAME = "evaluations without a name"
NAME_TAKEN = "evaluations with the name of a measure of calls"
NO_VALUE = "evaluations without a value and with a label that is no yes or no"
OUT_OF_RANGE = "evaluations with a value outside 0 to 1"
NO_TARGET = "evaluations that name no span, trace, response or exposure"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation result as it came. trace_id, span_id: of the span it was recorded in, empty without one."""

    trace_id: bytes
    span_id: bytes
    at_ns: int
    attributes: Mapping[str, Any]


def scores_of_events(
    spans: Iterable[Span], calls: Collection[tuple[bytes, bytes]]
) -> tuple[list[NewScore], Counter[str]]:
    """The scores that span events bring, and how many cannot be stored, by reason.

    calls: the keys of the spans that are calls. Where an event's span is none, as with feedback that is logged in the
    span of the app's request, the response that it names is meant, or else the trace.
    """
    return scores_of(
        [
            Evaluation(span.trace_id, span.span_id if is_call else b"", event.at_ns or span.end_ns, event.attributes)
            for span in spans
            if span.events
            for is_call in [(span.trace_id, span.span_id) in calls]
            for event in span.events
            if event.name == EVALUATION
        ]
    )


def scores_of(evaluations: Sequence[Evaluation]) -> tuple[list[NewScore], Counter[str]]:
    """The scores, and how many evaluations are none, by reason. One that failed itself is neither."""
    scores: list[NewScore] = []
    rejected: Counter[str] = Counter()
    for evaluation in evaluations:
        if VALUE not in evaluation.attributes and evaluation.attributes.get(ERROR_TYPE):
            continue
        try:
            scores.append(_score(evaluation))
        except ValueError as error:
            rejected[str(error)] += 1
    return scores, rejected


def rewritten_name(sent: str) -> str:
    """In lower case, everything that a name cannot hold as one underscore: `Answer Relevance` → `answer_relevance`."""
    return NOT_IN_NAMES.sub("_", sent.strip().lower())[:LONGEST_NAME]


def source_of(name: str) -> str:
    """Who gave a score that does not say: a user where its name is of feedback, else a judge."""
    return "user" if FEEDBACK.match(name) else "judge"


def _score(evaluation: Evaluation) -> NewScore:
    get = evaluation.attributes.get
    name, value = _name(get(NAME)), _value(get(VALUE), get(LABEL))
    comment = get(EXPLANATION)
    source = text(get(SOURCE))
    score = NewScore(
        name=name,
        value=value,
        source=source if source in SOURCES else source_of(name),
        id=text(get(OPENLIT_ID)),
        trace_id=_id(evaluation.trace_id, 16),
        span_id=_id(evaluation.span_id, 8) if _id(evaluation.trace_id, 16) else None,
        response_id=text(get(RESPONSE_ID)),
        exposure=_exposure(get(EXPOSURE)),
        label=text(get(LABEL)),
        comment=clean(comment)[:LONGEST_COMMENT] if isinstance(comment, str) else None,
        evaluator=next((found for key in EVALUATORS if (found := text(get(key)))), None),
        evaluated_ns=evaluation.at_ns,
    )
    if not (score.trace_id or score.response_id or score.exposure):
        raise ValueError(NO_TARGET)
    return score


def _name(sent: Any) -> str:
    name = rewritten_name(text(sent) or "")
    if not name.strip("_"):
        raise ValueError(NO_NAME)
    if name in BUILT_IN_METRICS:
        raise ValueError(NAME_TAKEN)
    return name


def _value(sent: Any, label: Any) -> float:
    """The value, or without one that of a label which is a yes or a no."""
    if isinstance(sent, int | float) and not isinstance(sent, bool):
        if math.isfinite(sent) and 0 <= sent <= 1:
            return float(sent)
        raise ValueError(OUT_OF_RANGE)
    found = VALUES_OF_LABELS.get((text(label) or "").lower())
    if sent is not None or found is None:
        raise ValueError(NO_VALUE)
    return found


def _id(sent: bytes, length: int) -> str | None:
    return sent.hex() if len(sent) == length and any(sent) else None


def _exposure(sent: Any) -> str | None:
    try:
        return str(parse_exposure(sent)) if isinstance(sent, str) else None
    except ValueError:
        return None

"""Where each instrumentation library writes what we want to know: the mapping, as data, one file a library.

A table names, for every canonical field, its sources in order; the first that holds a value decides. A new dialect is a
file with its table and a line in DIALECTS.
"""

from observability.core import evaluations
from observability.core.dialects.anthropic import ANTHROPIC
from observability.core.dialects.langfuse import LANGFUSE
from observability.core.dialects.langsmith import LANGSMITH
from observability.core.dialects.litellm import LITELLM
from observability.core.dialects.logfire import LOGFIRE
from observability.core.dialects.mlflow import MLFLOW
from observability.core.dialects.openinference import OPENINFERENCE
from observability.core.dialects.openlit import OPENLIT
from observability.core.dialects.otel import OTEL
from observability.core.dialects.reading import Reader, Reading
from observability.core.dialects.table import ASSIGNMENT, EXCEPTION
from observability.core.dialects.traceloop import TRACELOOP
from observability.core.dialects.vercel import VERCEL
from observability.core.otlp import Wanted

__all__ = ["ASSIGNMENT", "DIALECTS", "EXCEPTION", "READER", "WANTED", "Reading", "read_span", "wanted"]

# In the order in which they say whether a span is a call. Of what a span tells, OpenTelemetry's own names go first.
DIALECTS = (
    LITELLM,
    LANGFUSE,
    OPENINFERENCE,
    VERCEL,
    MLFLOW,
    LANGSMITH,
    OTEL,
    OPENLIT,
    TRACELOOP,
    LOGFIRE,
    ANTHROPIC,
)
READER = Reader(DIALECTS, first=OTEL)

read_span = READER.read


def wanted(*, with_content: bool) -> Wanted:
    """What of a span is worth decoding, the evaluations among its events too; prompts and answers only if asked for."""
    found = READER.wanted(with_content=with_content)
    return Wanted(found.attributes | evaluations.ATTRIBUTES, found.events | {evaluations.EVALUATION}, found.prefixes)


WANTED = wanted(with_content=False)

"""Which documents did a retrieval bring? What the span of one says, whichever library wrote it.

Only text is taken, never ids, distances or metadata. Sources: Arize-ai/openinference, spec/semantic_conventions.md
(`retrieval.documents.*`); open-telemetry/semantic-conventions-genai (`gen_ai.retrieval.documents`);
traceloop/openllmetry, semantic-conventions-ai (`db.query.result` events); langfuse-python's observations of the type
`retriever`; langsmith-sdk's and MLflow's spans of that kind, whose outputs are LangChain's documents.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from observability.core import conversions as read
from observability.core.content import LONGEST
from observability.core.otlp import Span, Wanted

MOST_DOCUMENTS = 50  # of one retrieval; a model is shown fewer
DEEPEST = 4
OF_DOCUMENTS = ("documents", "output", "outputs", "results", "matches", "source_nodes", "nodes")
OF_TEXT = ("page_content", "pageContent", "content", "text", "document", "node", "chunk")

FAMILIES = ("retrieval.documents.", "reranker.output_documents.")
WHOLE = ("gen_ai.retrieval.documents",)
RESULT_EVENT, RESULT_DOCUMENT = "db.query.result", "db.query.result.document"


class ByKind(NamedTuple):
    """An attribute that says that a span is a retrieval, and the one that then holds what came of it."""

    kind: str
    output: str


BY_KIND = (
    ByKind("langfuse.observation.type", "langfuse.observation.output"),
    ByKind("langsmith.span.kind", "gen_ai.completion"),
    ByKind("mlflow.spanType", "mlflow.spanOutputs"),
)
KINDS = frozenset({"retriever", "retrieval"})


def also_documents(wanted: Wanted) -> Wanted:
    """What is worth decoding where documents are kept too."""
    keys = {*WHOLE, RESULT_DOCUMENT, *(key for source in BY_KIND for key in source)}
    return Wanted(wanted.attributes | keys, wanted.events | {RESULT_EVENT}, (*wanted.prefixes, *FAMILIES))


def documents_of(span: Span) -> list[str]:
    """The documents' texts in their order, nothing of a span that is no retrieval."""
    return list(_limited(_found(span)))


def _found(span: Span) -> Iterator[str]:
    attributes = span.attributes
    for prefix in FAMILIES:
        leaves = {key.removeprefix(prefix): attributes[key] for key in attributes if key.startswith(prefix)}
        if leaves:
            yield from _texts(read.unflattened(leaves), DEEPEST)
    for key in WHOLE:
        if key in attributes:
            yield from _texts(_opened(attributes[key]), DEEPEST)
    for kind, output in BY_KIND:
        if output in attributes and read.lower(read.unquoted(attributes.get(kind))) in KINDS:
            yield from _texts(_opened(attributes[output]), DEEPEST)
    for event in span.events:
        if event.name == RESULT_EVENT:
            yield from _texts(event.attributes.get(RESULT_DOCUMENT), DEEPEST)


def _limited(texts: Iterator[str]) -> Iterator[str]:
    left = LONGEST
    for _, text in zip(range(MOST_DOCUMENTS), texts, strict=False):
        if left <= 0:
            return
        yield text[:left]
        left -= len(text)


def _opened(value: Any) -> Any:
    """The structure in JSON text; text that is none is one document."""
    if not isinstance(value, str) or len(value) > LONGEST or value.lstrip()[:1] not in {"[", "{", '"'}:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _texts(said: Any, deepest: int) -> Iterator[str]:
    """The texts of documents: of a list of them, of a result that holds a list, or of one document."""
    if isinstance(said, str):
        if said.strip():
            yield said
    elif deepest and isinstance(said, list):
        for item in said[:MOST_DOCUMENTS]:
            yield from _texts(item, deepest - 1)
    elif deepest and isinstance(said, Mapping):
        many = next((said[key] for key in OF_DOCUMENTS if isinstance(said.get(key), list)), None)
        one = next((said[key] for key in OF_TEXT if isinstance(said.get(key), str | Mapping)), None)
        yield from _texts(one if many is None else many, deepest - 1)

"""Documents of retrievals, as each instrumentation library writes them."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core.dialects import wanted
from observability.core.otlp import Span, decode_json, decode_protobuf
from observability.core.retrieval import MOST_DOCUMENTS, also_documents, documents_of
from tests import traces

WANTED = also_documents(wanted(with_content=True))
TWO = ["Mugs are red.", "Plates are blue."]
OF_LANGCHAIN = [{"page_content": text, "type": "Document", "metadata": {"source": "kb"}} for text in TWO]


def read(attributes: dict[str, Any], events: list[tuple[str, dict[str, Any]]] | None = None) -> list[str]:
    return documents_of(decoded(attributes, events))


def decoded(attributes: dict[str, Any], events: list[tuple[str, dict[str, Any]]] | None = None) -> Span:
    (span,) = decode_protobuf(traces.body(traces.span(attributes, events=events or [])), WANTED).spans
    return span


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "openinference.span.kind": "RETRIEVER",
            "retrieval.documents.0.document.content": TWO[0],
            "retrieval.documents.0.document.score": 0.9,
            "retrieval.documents.0.document.metadata": '{"source": "kb"}',
            "retrieval.documents.1.document.content": TWO[1],
        },
        {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.retrieval.documents": json.dumps(
                [{"id": "1", "score": 0.9, "content": TWO[0]}, {"id": "2", "score": 0.8, "text": TWO[1]}]
            ),
        },
        {"langfuse.observation.type": "retriever", "langfuse.observation.output": json.dumps(TWO)},
        {"langfuse.observation.type": "retriever", "langfuse.observation.output": json.dumps(OF_LANGCHAIN)},
        {"langsmith.span.kind": "retriever", "gen_ai.completion": json.dumps({"output": OF_LANGCHAIN})},
        {"langsmith.span.kind": "retriever", "gen_ai.completion": json.dumps({"documents": OF_LANGCHAIN})},
        {"mlflow.spanType": '"RETRIEVER"', "mlflow.spanOutputs": json.dumps(OF_LANGCHAIN)},
    ],
    ids=[
        "OpenInference",
        "OpenTelemetry",
        "Langfuse",
        "Langfuse, LangChain",
        "LangSmith",
        "LangSmith, named",
        "MLflow",
    ],
)
def test_documents_of__a_retrieval__its_texts_in_order(attributes: dict[str, Any]) -> None:
    assert read(attributes) == TWO


def test_documents_of__traceloop_s_events__their_documents() -> None:
    events = [("db.query.result", {"db.query.result.document": text, "db.query.result.id": "1"}) for text in TWO]

    assert read({"db.system": "chroma"}, events) == TWO


def test_documents_of__openinference_in_otlp_json__the_same() -> None:
    said = {"openinference.span.kind": "RETRIEVER", "retrieval.documents.0.document.content": TWO[0]}
    (span,) = decode_json(traces.request_as_json(traces.request(traces.span(said))), WANTED).spans

    assert documents_of(span) == TWO[:1]


def test_documents_of__recorded_langsmith__what_it_retrieved(shared: Any) -> None:
    body = (shared / "captures" / "otlp" / "langsmith" / "rag.traces.0.bin").read_bytes()
    spans = decode_protobuf(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body, WANTED).spans

    assert [found for span in spans if (found := documents_of(span))] == [["mug"]]


@pytest.mark.parametrize(
    "attributes",
    [
        {"langfuse.observation.type": "generation", "langfuse.observation.output": json.dumps(TWO)},
        {"langsmith.span.kind": "llm", "gen_ai.completion": json.dumps({"output": "a text"})},
        {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanOutputs": json.dumps(TWO)},
        {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": json.dumps([{"id": "1", "score": 0.9}])},
        {"gen_ai.operation.name": "chat", "gen_ai.completion.0.content": "a text"},
    ],
)
def test_documents_of__no_retrieval_or_ids_alone__none(attributes: dict[str, Any]) -> None:
    assert read(attributes) == []


def test_documents_of__very_many_and_very_long__bounded() -> None:
    texts = ["x" * 10_000] * 500

    found = read({"langfuse.observation.type": "retriever", "langfuse.observation.output": json.dumps(texts[:15])})
    listed = read({"gen_ai.retrieval.documents": [text[:10] for text in texts]})

    assert len("".join(found)) <= 200_000
    assert len(listed) == MOST_DOCUMENTS


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=True) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["text", "documents", "x"]), inner),
        max_leaves=20,
    )
)
def test_documents_of__any_structure__texts_or_nothing(said: Any) -> None:
    span = decoded({"langfuse.observation.type": "retriever"})
    span = span._replace(attributes={**span.attributes, "langfuse.observation.output": said})

    assert all(isinstance(text, str) and text.strip() for text in documents_of(span))

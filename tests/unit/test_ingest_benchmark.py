"""The benchmark compares like with like, and its page says what its results say."""

import json

from benchmarks import bare_ingest
from benchmarks.ingest import RESULTS
from benchmarks.ingestion.bodies import Kind, requests_of
from benchmarks.ingestion.page import BEGIN, END, PAGE, markdown
from observability.core.dialects import WANTED
from observability.core.otlp import decode_json, decode_protobuf
from observability.models import Call, Span


def test_bare_program__its_columns__all_of_the_tables() -> None:
    for model, columns in ((Span, bare_ingest.SPAN_COLUMNS), (Call, bare_ingest.CALL_COLUMNS)):
        assert sorted(columns) == sorted(
            field.column for field in model._meta.local_concrete_fields if field.name != "id"
        )


def test_bare_program__either_encoding__same_rows_and_ids_of_their_own() -> None:
    (protobuf,), (as_json,) = (requests_of(Kind(encoding, 10, exposed=True), 1) for encoding in ("protobuf", "json"))

    told = [list(bare_ingest.spans_of_protobuf(protobuf)), list(bare_ingest.spans_of_json(as_json))]

    ids = [{row[1] for row, _ in spans} for spans in told]
    assert [len(found) for found in ids] == [10, 10]
    assert ids[0].isdisjoint(ids[1])
    facts = [[(row[3], row[7], known) for row, known in spans] for spans in told]
    assert facts[0] == facts[1]


def test_bodies__either_encoding__decoded_alike_by_the_server() -> None:
    (protobuf,), (as_json,) = (requests_of(Kind(encoding, 10, exposed=True), 1) for encoding in ("protobuf", "json"))

    spans = decode_protobuf(protobuf, WANTED).spans, decode_json(as_json, WANTED).spans

    attributes = [[span.attributes for span in of_encoding] for of_encoding in spans]
    assert attributes[0] == attributes[1]
    assert sum("serinus.exposure" in of_span for of_span in attributes[0]) == 2


def test_page__between_its_markers__says_what_the_results_say() -> None:
    page = PAGE.read_text()

    assert page.partition(BEGIN)[2].partition(END)[0].strip() == markdown(json.loads(RESULTS.read_text()))

"""The writer: one transaction for each request, every span once, evidence only of what is known."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from observability import evidence
from observability.core.dialects import WANTED
from observability.core.otlp import Span as SentSpan
from observability.core.otlp import decode_protobuf
from observability.ingest import writer
from observability.models import Call, Evidence, Span, UnitBucket
from observability.privacy import user_hash
from registry.models import PromptVersion
from tests import make, parallel, traces
from tests.traces import CHAT

ROLLOUT = "rol_06b3t2k9w0x4y8z1c5d7"
STAMP = CHAT | {
    "gen_ai.prompt.name": "order-extractor",
    "gen_ai.prompt.version": "v2.3",
    "serinus.exposure": f"{ROLLOUT}:0:canary:182",
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> PromptVersion:
    return make.version(make.prompt(), "2.3")


def sent(*spans: Any) -> list[SentSpan]:
    return decode_protobuf(traces.body(*spans), WANTED).spans


def counts(version: PromptVersion) -> dict[str, int]:
    versions = {"control": 0, "canary": version.pk}
    return evidence.open_counts(ROLLOUT, versions).get((0, "error_rate"), {"control": 0, "canary": 0})


def test_store__span__its_columns() -> None:
    span = traces.span({}, number=1, parent=0, ms=1500, failed=True)

    writer.store(sent(span))

    row = Span.objects.get()
    ids = (bytes(row.trace_id), bytes(row.span_id), bytes(row.parent_id or b""))
    assert ids == (traces.trace_id(0), traces.span_id(1), traces.span_id(0))
    assert (row.name, row.scope, row.status) == ("chat gpt-4o-mini", "order-app", 2)
    assert (row.started_ns, row.duration_ns) == (span.start_time_unix_nano, 1_500_000_000)


def test_store__calls__errors_are_evidence_of_the_version(version: PromptVersion) -> None:
    writer.store(sent(traces.span(STAMP), traces.span(STAMP, number=1, failed=True)))

    assert set(Evidence.objects.values_list("version_id", "bin", "n")) == {(version.pk, 0, 1), (version.pk, 1000, 1)}
    bucket = UnitBucket.objects.get()
    assert (bucket.bucket, bucket.n, bucket.total) == (182, 2, 1000)


@pytest.mark.parametrize("written", ["v2.3", "2.3", "2.3.0", 1, "1", "v1"])
def test_store__version_in_any_way_of_writing__one_version(version: PromptVersion, written: Any) -> None:
    writer.store(sent(traces.span(STAMP | {"gen_ai.prompt.version": written})))

    call = Call.objects.get()
    assert (call.version, call.version_text) == (version, str(written))


@pytest.mark.parametrize(
    "attributes",
    [
        CHAT,
        STAMP | {"serinus.exposure": "rol_1:0:canary"},
        STAMP | {"gen_ai.prompt.version": "v9.9"},
        STAMP | {"gen_ai.prompt.version": "sunrise"},
        STAMP | {"gen_ai.prompt.version": ""},
        STAMP | {"gen_ai.prompt.name": "unknown"},
        STAMP | {"gen_ai.operation.name": "embeddings"},
    ],
)
def test_store__unlinked_call_or_embedding__kept_but_no_evidence(
    version: PromptVersion, attributes: dict[str, Any]
) -> None:
    writer.store(sent(traces.span(attributes)))

    assert Call.objects.count() == 1
    assert not Evidence.objects.exists()
    assert not UnitBucket.objects.exists()


def test_store__same_span_twice_in_a_batch_and_again_later__once(version: PromptVersion) -> None:
    writer.store(sent(traces.span(STAMP), traces.span(STAMP)))
    writer.store(sent(traces.span(STAMP), traces.span(STAMP, number=1)))

    assert (Span.objects.count(), Call.objects.count()) == (2, 2)
    assert counts(version) == {"control": 0, "canary": 2}


def test_store__same_span_id_in_two_traces__two_spans(version: PromptVersion) -> None:
    writer.store(sent(traces.span(STAMP, trace=0), traces.span(STAMP, trace=1)))

    assert Call.objects.count() == 2


def test_store__more_rows_than_a_statement_holds__all(version: PromptVersion) -> None:
    spans = [traces.span(STAMP, number=number) for number in range(4000)]  # 30 000 parameters hold 3750 spans

    writer.store(sent(*spans))

    assert (Span.objects.count(), Call.objects.count()) == (4000, 4000)
    assert counts(version) == {"control": 0, "canary": 4000}


def test_store__failure_on_the_way__nothing_half_written(
    version: PromptVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(observations: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(evidence, "add", add)

    with pytest.raises(RuntimeError, match="out of luck"):
        writer.store(sent(traces.span(STAMP)))

    assert not Span.objects.exists()
    assert not Call.objects.exists()


def test_store__user__only_as_a_keyed_hash(version: PromptVersion, settings: Any) -> None:
    writer.store(
        sent(traces.span(STAMP | {"user.id": "user-42"}), traces.span(CHAT | {"user.id": "user-42"}, number=1))
    )

    hashes = set(Call.objects.values_list("user_hash", flat=True))
    assert hashes == {user_hash("user-42")}
    settings.SECRET_KEY = "another"
    assert hashes != {user_hash("user-42")}


def test_store__number_of_queries__the_same_for_any_batch(version: PromptVersion) -> None:
    few = sent(traces.span(STAMP))
    many = sent(*(traces.span(STAMP, trace=1, number=number) for number in range(500)))

    with CaptureQueriesContext(connection) as for_few:
        writer.store(few)
    with CaptureQueriesContext(connection) as for_many:
        writer.store(many)

    assert len(for_many) == len(for_few)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("one_call_per_span", {}),
        ("an_exposure_is_whole_or_absent", {"span_id": b"12345678", "rollout": "rol_1"}),
        ("the_first_token_comes_within_the_call", {"span_id": b"12345678", "ttft_ms": 101, "duration_ms": 100}),
    ],
)
def test_calls__what_the_database_refuses__by_name(name: str, change: dict[str, Any]) -> None:
    writer.store(sent(traces.span(CHAT)))
    call = Call.objects.get()

    for field, value in ({"pk": None} | change).items():
        setattr(call, field, value)
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        call.save(force_insert=True)

    on_sqlite_columns = name == "one_call_per_span" and connection.vendor == "sqlite"
    assert ("trace_id" if on_sqlite_columns else name) in str(refused.value)


@pytest.mark.django_db(transaction=True)
def test_store__same_spans_over_parallel_connections__once(version: PromptVersion) -> None:
    spans = [traces.span(STAMP, number=number) for number in range(200)]
    batches = [sent(*spans), sent(*reversed(spans)), sent(*spans[50:]), sent(*spans[:150])]

    for future in [parallel.start(lambda batch=batch: writer.store(batch)) for batch in batches * 2]:
        future.result(timeout=60)

    assert (Span.objects.count(), Call.objects.count()) == (200, 200)
    assert counts(version) == {"control": 0, "canary": 200}

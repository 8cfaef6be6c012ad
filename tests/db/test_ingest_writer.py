"""The writer: one transaction for each request, every span once, evidence only of what is known."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from observability import evidence
from observability.core.dialects import WANTED
from observability.core.evidence import log_bin
from observability.core.otlp import Span as SentSpan
from observability.core.otlp import decode_protobuf
from observability.ingest import writer
from observability.models import Call, Evidence, Span, UnitBucket
from observability.privacy import user_hash
from observability.services.prices import forget_overrides
from registry.models import PromptVersion
from tests import make, parallel, traces
from tests.traces import CHAT

ROLLOUT = "rol_06b3t2k9w0x4y8z1c5d7"
STAMP = CHAT | {
    "gen_ai.prompt.name": "order-extractor",
    "gen_ai.prompt.version": "v2.3",
    "serinus.exposure": f"{ROLLOUT}:0:canary:182",
}

FULL = {
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.time_to_first_chunk": 0.04,
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 240,
    "gen_ai.usage.output_tokens": 11,
}
HOUSE = {"gen_ai.request.model": "house-model"}  # in no price table
SCHEMA = {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]}

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> PromptVersion:
    return make.version(make.prompt(), "2.3")


def sent(*spans: Any) -> list[SentSpan]:
    return decode_protobuf(traces.body(*spans), WANTED).spans


def answering(text: str) -> dict[str, str]:
    message = {"role": "assistant", "parts": [{"type": "text", "content": text}], "finish_reason": "stop"}
    return {"gen_ai.output.messages": json.dumps([message])}


def unit_sums() -> list[tuple[str, int, int, int]]:
    return list(UnitBucket.objects.values_list("metric", "n", "total", "squares"))


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

    errors = Evidence.objects.filter(metric="error_rate")
    assert set(errors.values_list("version_id", "bin", "n")) == {(version.pk, 0, 1), (version.pk, 1000, 1)}
    bucket = UnitBucket.objects.get(metric="error_rate")
    assert (bucket.bucket, bucket.n, bucket.total, bucket.squares) == (182, 2, 1000, 1_000_000)


def test_store__call_that_tells_everything__evidence_of_every_measure() -> None:
    version = make.version(make.prompt(), "2.3", response_schema=SCHEMA)

    writer.store(sent(traces.span(STAMP | FULL | answering('{"order": 7}'), ms=100)))

    found = dict(Evidence.objects.values_list("metric", "bin"))
    assert found == {
        "error_rate": 0,
        "latency": log_bin(100, 1e-3),
        "ttft": log_bin(40, 1e-3),
        "inter_token_latency": log_bin(6, 1e-3),  # (100 - 40) ms over 10 gaps
        "tokens": log_bin(251, 1),
        "cost_per_call": log_bin(0.0000426, 1e-9),  # 0.15 and 0.6 USD for a million tokens of gpt-4o-mini
        "output_valid": 1000,
    }
    assert set(Evidence.objects.values_list("version_id", "arm", "n")) == {(version.pk, "canary", 1)}
    sums = {name: (n, total, squares) for name, n, total, squares in unit_sums()}
    assert sums == {name: (1, bin_, bin_**2) for name, bin_ in found.items()}


@pytest.mark.parametrize(("text", "expected"), [('{"order": 7}', True), ('{"order": "7"}', False), ("Sorry!", False)])
def test_store__output_of_a_version_with_a_response_schema__checked_and_not_kept(text: str, expected: bool) -> None:
    make.version(make.prompt(), "2.3", response_schema=SCHEMA)

    writer.store(sent(traces.span(STAMP | answering(text))))

    assert Call.objects.get().output_valid is expected
    assert Evidence.objects.get(metric="output_valid").bin == 1000 * expected
    kept = [*Call.objects.values_list(), *Span.objects.values_list(), *Evidence.objects.values_list()]
    assert not any(text in str(value) for row in kept for value in row)


@pytest.mark.parametrize(
    "changes",
    [
        {"gen_ai.output.messages": ""},
        {"gen_ai.prompt.version": "v2.2"},
        {"gen_ai.prompt.version": "v9.9"},
        {"gen_ai.operation.name": "embeddings"},
        {"error.type": "timeout"},
    ],
)
def test_store__no_output_or_no_schema_or_a_failure__not_checked(changes: dict[str, Any]) -> None:
    prompt = make.prompt()
    make.version(prompt, "2.2")
    make.version(prompt, "3.0", response_schema=SCHEMA)

    writer.store(sent(traces.span(STAMP | {"gen_ai.prompt.version": "v3.0"} | answering("Sorry!") | changes)))

    assert Call.objects.get().output_valid is None
    assert not Evidence.objects.filter(metric="output_valid").exists()


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (HOUSE | {"gen_ai.usage.cost": 0.0123456789012345}, (Decimal("0.012345678901"), "reported")),
        (HOUSE | {"gen_ai.usage.cost": 1e-12}, (Decimal("1e-12"), "reported")),
        (HOUSE | {"gen_ai.usage.cost": 999_999.5}, (Decimal("999999.5"), "reported")),
        ({}, (Decimal("0.0000426"), "genai-prices")),
        (HOUSE, (None, None)),
    ],
)
def test_store__cost__to_twelve_decimals_with_its_source(attributes: dict[str, Any], expected: Any) -> None:
    writer.store(sent(traces.span(CHAT | FULL | attributes)))

    assert Call.objects.values_list("cost_usd", "cost_source").get() == expected


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
    stamp = STAMP | FULL | answering("{}")
    few = sent(traces.span(stamp))
    writer.store(sent(traces.span(stamp, trace=2)))  # finds out which version is meant
    many = sent(*(traces.span(stamp, trace=1, number=number) for number in range(500)))

    forget_overrides()
    with CaptureQueriesContext(connection) as for_few:
        writer.store(few)
    forget_overrides()
    with CaptureQueriesContext(connection) as for_many:
        writer.store(many)

    assert len(for_many) == len(for_few)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("an_exposure_is_whole_or_absent", {"span_id": b"12345678", "rollout": "rol_1"}),
        ("the_first_token_comes_within_the_call", {"span_id": b"12345678", "ttft_ms": 101, "duration_ms": 100}),
        ("a_cost_tells_its_source", {"span_id": b"12345678", "cost_usd": Decimal("0.1")}),
        ("a_cost_tells_its_source", {"span_id": b"12345678", "cost_source": "reported"}),
        ("a_cost_tells_its_source", {"span_id": b"12345678", "cost_usd": Decimal("-0.1"), "cost_source": "reported"}),
    ],
)
def test_calls__what_the_database_refuses__by_name(name: str, change: dict[str, Any]) -> None:
    writer.store(sent(traces.span(CHAT)))
    call = Call.objects.get()

    for field, value in ({"pk": None} | change).items():
        setattr(call, field, value)
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        call.save(force_insert=True)

    assert name in str(refused.value)


@pytest.mark.django_db(transaction=True)
def test_store__same_spans_over_parallel_connections__once(version: PromptVersion) -> None:
    spans = [traces.span(STAMP, number=number) for number in range(200)]
    batches = [sent(*spans), sent(*reversed(spans)), sent(*spans[50:]), sent(*spans[:150])]

    for future in [parallel.start(lambda batch=batch: writer.store(batch)) for batch in batches * 2]:
        future.result(timeout=60)

    assert (Span.objects.count(), Call.objects.count()) == (200, 200)
    assert counts(version) == {"control": 0, "canary": 200}

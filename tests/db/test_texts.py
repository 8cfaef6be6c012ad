"""Texts of calls: none unless switched on, then scrubbed; in full for errors and a sample of traces."""

import hashlib
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from observability.core.calls import CallFacts, find_calls
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scrubbing import CUT_MARK, own_patterns
from observability.ingest import writer
from observability.models import Call, CallText
from tests import traces

if find_spec("observability.core.content") is None:
    sys.modules["observability.core.content"] = ModuleType("observability.core.content")

from observability import texts

pytestmark = pytest.mark.django_db

INPUT = "Order for anna@example.com"
OUTPUT = "Call +49 30 1234567"


@pytest.fixture(autouse=True)
def _switched_on(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are stored in full for no trace but errors; input and output are plain texts."""
    settings.STORE_TEXT, settings.TEXT_SAMPLE_BP = True, 0
    monkeypatch.setattr("observability.texts.content.input_text", lambda call: call.input_messages, raising=False)
    monkeypatch.setattr("observability.texts.content.output_text", lambda call: call.output_messages, raising=False)


def call(
    *, number: int = 0, trace: int = 0, failed: bool = False, into: str | None = INPUT, out: str | None = OUTPUT
) -> tuple[int, CallFacts]:
    """A stored call with its id."""
    spans = decode_protobuf(traces.body(traces.span(number=number, trace=trace, failed=failed)), WANTED).spans
    writer.store(spans)
    (facts,) = find_calls(spans).calls
    stored = Call.objects.get(trace_id=facts.trace_id, span_id=facts.span_id)
    return stored.pk, facts._replace(input_messages=into, output_messages=out)


def test_store__switched_off__no_text_is_even_read(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STORE_TEXT = False
    monkeypatch.delattr("observability.texts.content.input_text")

    texts.store([call(failed=True)])

    assert not CallText.objects.exists()


def test_store__error__scrubbed_in_full() -> None:
    texts.store([call(failed=True)])

    kept = CallText.objects.get()
    assert (kept.input_text, kept.output_text) == ("Order for [email]", "Call [phone]")
    assert kept.kept_because == "error"


def test_store__call_outside_of_the_sample__only_hashes_of_what_is_scrubbed() -> None:
    texts.store([call()])

    kept = CallText.objects.get()
    assert (kept.input_text, kept.output_text, kept.kept_because) == (None, None, None)
    assert bytes(kept.input_sha256 or b"") == hashlib.sha256(b"Order for [email]").digest()
    assert bytes(kept.output_sha256 or b"") == hashlib.sha256(b"Call [phone]").digest()


def test_store__sample__whole_traces_and_about_as_many_as_set(settings: Any) -> None:
    settings.TEXT_SAMPLE_BP = 2500

    inside = [texts.is_in_sample(traces.trace_id(number)) for number in range(4000)]
    first = inside.index(True)
    texts.store([call(trace=first), call(trace=first, number=1), call(trace=inside.index(False))])

    assert 900 < sum(inside) < 1100  # four standard deviations around 1000
    assert sorted(map(str, CallText.objects.values_list("kept_because", flat=True))) == ["None", "sample", "sample"]


@pytest.mark.parametrize(("basis_points", "expected"), [(0, False), (10_000, True)])
def test_is_in_sample__none_or_all(settings: Any, basis_points: int, expected: bool) -> None:
    settings.TEXT_SAMPLE_BP = basis_points

    assert {texts.is_in_sample(traces.trace_id(number)) for number in range(200)} == {expected}


def test_store__long_text_and_own_pattern__cut_and_replaced(settings: Any) -> None:
    settings.TEXT_LIMIT, settings.SCRUB_PATTERNS = 20, own_patterns({"customer": "C-[0-9]+"})

    texts.store([call(failed=True, into="x" * 400, out="C-77 is new")])

    kept = CallText.objects.get()
    assert (kept.input_text, kept.output_text) == ("x" * 20 + CUT_MARK, "[customer] is new")


def test_store__what_no_database_can_hold__left_out() -> None:
    texts.store([call(failed=True, into="a\0b \ud83d c")])

    assert CallText.objects.get().input_text == "ab ? c"


def test_store__no_text__no_row() -> None:
    texts.store([call(into=None, out=None)])

    assert not CallText.objects.exists()


def test_store__output_comes_with_a_later_span__joins_and_changes_nothing() -> None:
    id_, facts = call(failed=True, out=None)

    texts.store([(id_, facts)])
    texts.store([(id_, facts._replace(input_messages="another", output_messages=OUTPUT))])

    kept = CallText.objects.get()
    assert (kept.input_text, kept.output_text) == ("Order for [email]", "Call [phone]")


def test_move__another_call_turned_out_to_be_the_same__what_was_missing_joins() -> None:
    texts.store([call(number=0, into=None, failed=True), call(number=1, into="Hello", out="Bye", failed=True)])
    to_call, from_call = Call.objects.order_by("pk").values_list("pk", flat=True)

    texts.move(from_calls=[from_call], to_call=to_call)

    kept = CallText.objects.get(pk=to_call)
    assert (kept.input_text, kept.output_text) == ("Hello", "Call [phone]")


def test_store__many_calls__one_statement() -> None:
    calls = [call(number=number) for number in range(20)]

    with CaptureQueriesContext(connection) as queries:
        texts.store(calls)

    assert len(queries) == 1
    assert CallText.objects.count() == 20


def test_store__logs__hold_no_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "observability")

    texts.store([call(failed=True)])

    assert "Order" not in caplog.text


def test_texts__kept_for_no_reason__refused_by_the_database() -> None:
    texts.store([call(failed=True)])

    with pytest.raises(IntegrityError, match="a_text_is_kept_for_a_reason"), transaction.atomic():
        CallText.objects.update(kept_because=None)


def test_texts__call_deleted__gone() -> None:
    texts.store([call(failed=True)])

    Call.objects.all().delete()

    assert not CallText.objects.exists()

"""The same spans over several connections at once count once: as spans, as calls and as evidence."""

import time
from functools import partial

import pytest
from django.db import transaction
from django.db.models import Sum
from django.test import Client

from observability.models import Call, Evidence, Span, UnitBucket
from tests import make, traces
from tests import rollouts as given
from tests.parallel import at_once, start

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8
CALLS = 40
PROTOBUF = "application/x-protobuf"


@pytest.fixture
def key() -> str:
    return make.key("ingest")


def body(rollout: str, numbers: range) -> bytes:
    """A call of each number, the canary's, each in a unit bucket of its own."""
    stamp = {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "1.1"}
    spans = [
        traces.span(traces.CHAT | stamp | {"serinus.exposure": f"{rollout}:0:canary:{n % 256}"}, number=n, trace=n // 5)
        for n in numbers
    ]
    return traces.body(*spans)


def post(key: str, sent: bytes) -> int:
    """Until it is stored, as exporters do that are told to come back."""
    while True:
        answer = Client().post("/v1/traces", sent, content_type=PROTOBUF, headers={"Authorization": f"Bearer {key}"})
        if answer.status_code != 503:
            return int(answer.status_code)


def test_traces__same_batch_at_once__counted_once(key: str) -> None:
    rollout = given.rollout()

    statuses = at_once(*[partial(post, key, body(rollout.id, range(CALLS)))] * THREADS)

    assert statuses == [200] * THREADS
    assert_counted_once(CALLS)


def test_traces__overlapping_batches_in_any_order__counted_once(key: str) -> None:
    rollout = given.rollout()
    halves = [range(first, first + 2 * CALLS) for first in range(0, THREADS * CALLS, CALLS)]
    batches = [body(rollout.id, half if n % 2 else half[::-1]) for n, half in enumerate(halves)]

    statuses = at_once(*[partial(post, key, batch) for batch in batches])

    assert statuses == [200] * THREADS
    assert_counted_once((THREADS + 1) * CALLS)


def test_traces__twin_in_another_trace_while_its_call_is_stored__one_call(key: str) -> None:
    response = traces.CHAT | {"gen_ai.response.id": "chatcmpl-1"}
    with transaction.atomic():
        post(key, traces.body(traces.span(response, trace=1)))
        twin = start(partial(post, key, traces.body(traces.span(response, trace=2), scope="another")))
        time.sleep(0.3)
        assert not twin.done()

    assert twin.result(timeout=10) == 200
    assert (Span.objects.count(), Call.objects.count()) == (2, 1)


def assert_counted_once(calls: int) -> None:
    """Each call, and two measures of it: whether it failed, and how long it took."""
    assert (Span.objects.count(), Call.objects.count()) == (calls, calls)
    for counters in (Evidence, UnitBucket):
        counted = counters.objects.order_by().values("metric").annotate(calls=Sum("n"))
        assert {row["metric"]: row["calls"] for row in counted} == {"error_rate": calls, "latency": calls}
    buckets = UnitBucket.objects.filter(metric="error_rate").values("bucket").annotate(calls=Sum("n")).order_by()
    assert {row["bucket"]: row["calls"] for row in buckets} == {
        bucket: len(range(bucket, calls, 256)) for bucket in range(min(calls, 256))
    }

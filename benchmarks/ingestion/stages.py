"""What each stage of taking traces in costs, in this process and without HTTP.

Each stage is printed beside protobuf's own decoding of the same bodies in the same run, so that a figure can be carried
to another machine. On PostgreSQL with DATABASE_URL, else on SQLite as `manage.py serve` has it.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.ingestion.bodies import PROMPTS, PROTOBUF, Kind, requests_of

SPANS = 100
KIND = Kind("protobuf", SPANS, exposed=True)
WARM_UP = 20


def main(*, requests: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"SERINUS_DATA_DIR": folder, "SERINUS_LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        import django

        django.setup()
        key = prepare_database()
        measure(key, requests_of(KIND, WARM_UP + requests), requests_of(KIND, WARM_UP + requests))


def prepare_database() -> str:
    """The prompts and a key; returns the key."""
    from django.core.management import call_command

    from tests import make

    call_command("migrate", verbosity=0)
    for name, versions in PROMPTS.items():
        prompt = make.prompt(name)
        for minor in range(versions):
            make.version(prompt, f"1.{minor}", template=f"{minor}: {{{{ order_text }}}}")
    return make.key("ingest")


def measure(key: str, for_writer: list[bytes], for_requests: list[bytes]) -> None:
    from observability.core.calls import find_calls
    from observability.core.dialects import WANTED
    from observability.core.otlp import decode_protobuf
    from observability.ingest import writer
    from observability.models import Span

    batches = [decode_protobuf(body, WANTED).spans for body in for_writer]
    print(f"{len(for_writer[0]) / SPANS:.0f} bytes a span, {SPANS} spans a request, {len(batches) - WARM_UP} requests")
    alone = report("protobuf's decoding alone", ExportTraceServiceRequest.FromString, for_writer, None)
    report("decoding into spans", lambda body: decode_protobuf(body, WANTED), for_writer, alone)
    report("finding calls", find_calls, batches, alone)
    report("writer (with finding calls)", writer.store, batches, alone)
    report("whole request", partial(post, key), for_requests, alone)
    stored, sent = Span.objects.count(), SPANS * (len(for_writer) + len(for_requests))
    assert stored == sent, f"{stored} of {sent} spans were stored"


def post(key: str, body: bytes) -> None:
    from io import BytesIO

    from django.core.handlers.wsgi import WSGIRequest

    from observability.ingest.traces import traces as take_traces

    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v1/traces",
        "CONTENT_TYPE": PROTOBUF,
        "HTTP_AUTHORIZATION": f"Bearer {key}",
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": True,
    }
    assert take_traces(WSGIRequest(environ)).status_code == 200


def report(name: str, work: Callable[[Any], object], inputs: Iterable[Any], alone: float | None) -> float:
    """Prints what the work costs per span; returns the CPU seconds a span of it."""
    inputs = list(inputs)
    for item in inputs[:WARM_UP]:
        work(item)
    wall, cpu = time.perf_counter(), time.process_time()
    for item in inputs[WARM_UP:]:
        work(item)
    spans = SPANS * (len(inputs) - WARM_UP)
    wall, cpu = (time.perf_counter() - wall) / spans, (time.process_time() - cpu) / spans
    ratio = "" if alone is None else f"{cpu / alone:8.1f} x"
    print(f"{name:28} {1 / wall:9,.0f} spans/s {cpu * 1e6:8.2f} µs of CPU a span {ratio}")
    return cpu

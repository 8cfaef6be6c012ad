"""What taking traces in costs in this process: `python benchmarks/ingest.py [requests]`. HTTP itself is not measured.

Bodies of 100 spans, as an app with retrieval sends them: in each trace an agent, an embedding, a search and two chats,
14 attributes a span; the chats of one prompt are exposed by a rollout, which observes six measures of each. Every
request has ids of its own. Each stage is printed beside protobuf's own decoding of the same bodies in the same run, so
that a figure can be carried to another machine. On PostgreSQL with DATABASE_URL, else on SQLite as `manage.py serve`
has it.
"""

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

SPANS = 100
TRACES = SPANS // 5
WARM_UP = 20
PROTOBUF = "application/x-protobuf"


def main(requests: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SERINUS_DATA_DIR"] = folder
        import django

        django.setup()
        key = prepare_database()
        rnd = random.Random(7)
        measure(key, [body(rnd) for _ in range(WARM_UP + requests)], [body(rnd) for _ in range(WARM_UP + requests)])


def prepare_database() -> str:
    """The prompt and a key; returns the key."""
    from django.core.management import call_command

    from tests import make

    call_command("migrate", verbosity=0)
    prompt = make.prompt()
    for number in ("2.2", "2.3"):
        make.version(prompt, number, template=f"{number}: {{{{ order_text }}}}")
    return make.key("ingest")


def body(rnd: random.Random) -> bytes:
    from tests import traces

    return traces.body(*(span for _ in range(TRACES) for span in spans_of_a_trace(rnd)), resource={"host.name": "w-7"})


def spans_of_a_trace(rnd: random.Random) -> list[Any]:
    from tests import traces

    arm = rnd.choices(("control", "canary"), (95, 5))[0]
    app = {
        "user.id": f"user-{rnd.randrange(20_000):05}",
        "session.id": f"{rnd.getrandbits(64):016x}",
        "feature": "checkout",
        "deployment.environment": "production",
    }
    prompt = {
        "gen_ai.prompt.name": "order-extractor",
        "gen_ai.prompt.version": "v2.3" if arm == "canary" else "v2.2",
        "serinus.exposure": f"rol_06b3t2k9w0x4y8z1c5d7:0:{arm}:{rnd.randrange(256)}",
    }
    trace, first = rnd.getrandbits(40), rnd.getrandbits(40)
    make = partial(traces.span, trace=trace)
    return [
        make(app | {"gen_ai.operation.name": "invoke_agent", **filling(9)}, number=first),
        make(app | {"gen_ai.operation.name": "embeddings", **filling(9)}, number=first + 1, parent=first),
        make(app | {"db.system.name": "postgresql", **filling(9)}, number=first + 2, parent=first),
        make(app | chat(rnd) | prompt, number=first + 3, parent=first),
        make(app | chat(rnd) | {"gen_ai.prompt.name": "output-guard"}, number=first + 4, parent=first),
    ]


def filling(attributes: int) -> dict[str, Any]:
    return {f"app.attribute.{n}": "some value of middling length" for n in range(attributes)}


def chat(rnd: random.Random) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2026-01-15",
        "gen_ai.response.id": f"chatcmpl-{rnd.getrandbits(96):024x}",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": rnd.randrange(100, 2000),
        "gen_ai.usage.output_tokens": rnd.randrange(10, 500),
        "gen_ai.response.time_to_first_chunk": rnd.uniform(0.01, 0.09),
    }


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

    from observability.ingest import views

    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v1/traces",
        "CONTENT_TYPE": PROTOBUF,
        "HTTP_AUTHORIZATION": f"Bearer {key}",
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": True,
    }
    assert views.traces(WSGIRequest(environ)).status_code == 200


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


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)

"""docs/how-to/stamp-calls.md says what happens: its Python is run as it stands there."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import serinus
from tests import rulesets
from tests.clients import test_instrumentations

PAGE = (Path(__file__).resolve().parents[2] / "docs/how-to/stamp-calls.md").read_text()
REQUIREMENTS = (Path(test_instrumentations.HERE) / "requirements.txt").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
IN_ROLLOUT = rulesets.prompt("order-extractor", split=rulesets.rollout(10_000))


class Llm:
    """A client with an instrumentation: each call is a span."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        serinus.instrument(provider)
        self.tracer = provider.get_tracer("llm")
        self.chat = SimpleNamespace(completions=self)

    def create(self, *, model: str, messages: Any, stream: bool = False) -> Any:
        span = self.tracer.start_span("chat", attributes={"gen_ai.operation.name": "chat", "content": str(messages)})
        if stream:
            return self.streamed(span)
        span.end()
        message = SimpleNamespace(content="an order")
        usage = SimpleNamespace(prompt_tokens=9, completion_tokens=3)
        return SimpleNamespace(id="chatcmpl-1", choices=[SimpleNamespace(message=message)], usage=usage)

    @staticmethod
    def streamed(span: Any) -> Iterator[str]:
        yield "an order"
        span.end()

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """What the page defines, with a server of one prompt, wholly served by the canary."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    llm = Llm()
    with rulesets.serving({"order-extractor": IN_ROLLOUT}) as server, ThreadPoolExecutor(2) as executor:
        names: dict[str, Any] = {"llm": llm, "executor": executor, "time": time}
        names["extract_one"] = lambda order: names["llm"].create(model="gpt-4o-mini", messages=order)
        for block in BLOCKS:
            exec(block.replace("http://127.0.0.1:8000", server.url).replace("ser_…", rulesets.KEY), names)
        yield SimpleNamespace(**names, server=server)
        names["prompts"].close()


def stamps(llm: Llm) -> list[tuple[Any, Any]]:
    return [((span.attributes or {}).get("gen_ai.prompt.version"), len(span.events)) for span in llm.spans]


def test_page__calls_and_streams_and_executor__all_stamped(page: SimpleNamespace) -> None:
    page.extract("two pizzas", "user-2")
    assert list(page.extract_in_pieces("two pizzas", "user-2")) == ["an order"]
    page.extract_many(["one", "two", "three"], "user-2")

    assert stamps(page.llm) == [("v2.3", 1)] * 5


def test_page__scores__about_the_call_and_the_exposure(page: SimpleNamespace) -> None:
    _, exposure = page.extract_and_score("two pizzas", "user-2")
    page.thumbs_up(exposure)

    assert page.prompts.flush(10)
    (scores,) = [path for path in page.server.reports if path.endswith("/scores")]
    check, thumbs = sorted(page.server.reports[scores], key=lambda score: score["name"])
    (call,) = page.llm.spans
    assert call.context is not None
    assert (check["name"], check["value"], check["span_id"]) == ("has-text", 1, f"{call.context.span_id:016x}")
    assert (thumbs["value"], thumbs["exposure"]) == (1, "rol_06b3t2k9w0x4y8z1c5d7:1:canary:187")


def test_page__call_without_opentelemetry__told(page: SimpleNamespace) -> None:
    page.extract_and_tell("two pizzas", "user-2")

    assert page.prompts.flush(10)
    ((call,),) = page.server.reports.values()
    assert (call["version"], call["input_tokens"], call["response_id"]) == ("v2.3", 9, "chatcmpl-1")
    assert call["duration_ms"] > 0


def test_page__what_was_tried__as_it_is_run() -> None:
    assert f"| {sum(test_instrumentations.CALLS.values())} of 85 |" in PAGE
    for name, version in re.findall(r"^\| (\S+instrumentation\S+) (\S+) ", PAGE, re.MULTILINE):
        assert f"{name}=={version}\n" in REQUIREMENTS
    (client,) = re.findall(r"^openai==(\d+\.\d+)", REQUIREMENTS, re.MULTILINE)
    assert f"real client {client} against" in PAGE

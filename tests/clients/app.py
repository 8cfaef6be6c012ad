"""An app with OpenAI's client and one instrumentation, in a process of its own: `python app.py openinference`.

Each call asks for a model that is named after the case and the prompt that the call is made with, so that its span
says so, whatever the instrumentation. Prints as JSON what each was stamped with, and which ones scores are about.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from threading import Barrier, Thread
from typing import Any

from openai import AsyncOpenAI, InternalServerError, OpenAI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from provider import provider

from serinus.stamping import EVENT, Stamping, current_entry

INSTRUMENTATIONS = {
    "openai-v2": "opentelemetry.instrumentation.openai_v2",
    "openinference": "openinference.instrumentation.openai",
    "traceloop": "opentelemetry.instrumentation.openai",
}
AT_ONCE = 8
MESSAGES: Any = [{"role": "user", "content": "Extract the order"}]
NOTHING = "none"


class Prompt(Stamping):
    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def trace(self) -> Mapping[str, str]:
        """Each with a version of its own, so that none is stamped half by one and half by another."""
        return {"gen_ai.prompt.name": self.name, "gen_ai.prompt.version": f"v-{self.name}"}


OUTER, INNER = Prompt("outer"), Prompt("inner")


class App:
    def __init__(self, base_url: str) -> None:
        options: Any = {"base_url": base_url, "api_key": "sk-x", "max_retries": 0}
        self.client = OpenAI(**options)
        self.make_async = lambda: AsyncOpenAI(**options)
        self.scored: list[str] = []

    def ask(self, case: str, prompt: Prompt | None = None) -> None:
        self.client.chat.completions.create(model=model(case, prompt), messages=MESSAGES)

    def score(self) -> None:
        """Remember the span of the call that a score given here would be about."""
        entry = current_entry()
        call = entry.newest_call() if entry else None
        self.scored.append(call.span_id if call else NOTHING)

    def sync(self) -> None:
        self.ask("before")
        with OUTER:
            for _ in range(2):
                self.ask("sync", OUTER)
                self.score()
        self.ask("after")

    def nested(self) -> None:
        with OUTER:
            with INNER:
                self.ask("nested", INNER)
            self.ask("nested", OUTER)

    def inside_a_span(self) -> None:
        with trace.get_tracer("app").start_as_current_span("POST /orders"), OUTER:
            self.ask("inside-a-span", OUTER)

    def failing(self) -> None:
        with OUTER:
            try:
                self.ask("failing", OUTER)
            except InternalServerError:
                return
            raise AssertionError("expected to fail")

    def stream_consumed_outside(self) -> None:
        for enough in (100, 1):  # the second is abandoned after one chunk
            with OUTER:
                chunks = self.client.chat.completions.create(
                    model=model("stream", OUTER), messages=MESSAGES, stream=True
                )
            with INNER:
                for number, _ in enumerate(chunks, start=1):
                    if number == enough:
                        break
                chunks.close()

    def streams_interleaved(self) -> None:
        prompts, streams = [Prompt(f"p{number}") for number in range(3)], []
        for prompt in prompts:
            with prompt:
                streams.append(
                    self.client.chat.completions.create(
                        model=model("interleaved", prompt), messages=MESSAGES, stream=True
                    )
                )
        for _ in zip(*streams, strict=True):
            self.ask("between-chunks")
        for chunks in streams:
            list(chunks)

    def threads(self) -> None:
        meeting = Barrier(AT_ONCE, timeout=30)

        def work(prompt: Prompt) -> None:
            with prompt:
                meeting.wait()
                self.ask("threads", prompt)
                with OUTER:  # the same one in all of them
                    self.ask("threads", OUTER)
                self.ask("threads", prompt)

        threads = [Thread(target=work, args=[Prompt(f"p{number}")]) for number in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def executor(self) -> None:
        prompts = [Prompt(f"p{number}") for number in range(AT_ONCE)]
        with ThreadPoolExecutor(2) as executor:
            for prompt in prompts:
                executor.submit(prompt.in_context(self.ask), "executor", prompt)
            executor.submit(self.ask, "executor-after")

    async def tasks(self) -> None:
        async with self.make_async() as client:

            async def work(prompt: Prompt) -> None:
                async with prompt:
                    await ask(client, "tasks", prompt)
                    with OUTER:
                        await ask(client, "tasks", OUTER)
                    await ask(client, "tasks", prompt)

            await asyncio.gather(*(work(Prompt(f"p{number}")) for number in range(AT_ONCE)))
            with OUTER:
                task = asyncio.create_task(ask(client, "task-outliving", OUTER))
            await task
            await ask(client, "tasks-after")

    async def async_streams(self) -> None:
        async with self.make_async() as client:

            async def work(prompt: Prompt) -> None:
                with prompt:
                    chunks: AsyncIterator[Any] = await client.chat.completions.create(
                        model=model("async-stream", prompt), messages=MESSAGES, stream=True
                    )
                async for _ in chunks:
                    await asyncio.sleep(0)

            await asyncio.gather(*(work(Prompt(f"p{number}")) for number in range(AT_ONCE)))

    def async_under_sync(self) -> None:
        async def work() -> None:
            async with self.make_async() as client:
                await ask(client, "async-under-sync", OUTER)

        with OUTER:
            asyncio.run(work())


def model(case: str, prompt: Prompt | None) -> str:
    return f"{case}:{prompt.name if prompt else NOTHING}"


async def ask(client: AsyncOpenAI, case: str, prompt: Prompt | None = None) -> None:
    await client.chat.completions.create(model=model(case, prompt), messages=MESSAGES)


def main(instrumentation: str) -> None:
    exporter = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(tracers)
    import_module(INSTRUMENTATIONS[instrumentation]).OpenAIInstrumentor().instrument()
    with provider() as base_url:
        app = App(base_url)
        for case in (app.sync, app.nested, app.inside_a_span, app.failing, app.threads, app.executor):
            case()
        app.stream_consumed_outside()
        app.streams_interleaved()
        asyncio.run(app.tasks())
        asyncio.run(app.async_streams())
        app.async_under_sync()
        app.client.close()
    calls = [told for span in exporter.get_finished_spans() if (told := told_by(span))]
    json.dump({"calls": calls, "scored": app.scored}, sys.stdout)


def told_by(span: Any) -> dict[str, Any] | None:
    """Of a span of a call: its case, the prompt it was made with, and those its attributes and its event name."""
    parameters = json.loads(
        span.attributes.get("llm.invocation_parameters", "{}")
    )  # all that OpenInference has at first
    asked = span.attributes.get("gen_ai.request.model") or parameters.get("model")
    if asked is None:
        return None
    case, _, expected = asked.partition(":")
    events = [dict(event.attributes) for event in span.events if event.name == EVENT]
    return {
        "span_id": f"{span.context.span_id:016x}",
        "case": case,
        "expected": expected,
        "attributes": prompt_of(span.attributes),
        "events": [prompt_of(event) for event in events],
    }


def prompt_of(attributes: Mapping[str, Any]) -> str:
    name, version = attributes.get("gen_ai.prompt.name"), attributes.get("gen_ai.prompt.version")
    if name is None and version is None:
        return NOTHING
    return str(name) if version == f"v-{name}" else f"{name} mixed with {version}"


if __name__ == "__main__":
    main(sys.argv[1])

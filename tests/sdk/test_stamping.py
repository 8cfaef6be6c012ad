"""Which spans are told of which prompt; here with spans made by hand, in tests/clients with those of real libraries."""

import asyncio
import inspect
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace as otel_trace
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from serinus import stamping
from serinus.spans import SpanStamper

NAME, VERSION = "gen_ai.prompt.name", "gen_ai.prompt.version"


class Assigned(stamping.Stamping):
    """A prompt as far as stamping knows it."""

    def __init__(self, name: str, version: str = "v2.3") -> None:
        self._trace = {NAME: name, VERSION: version, "serinus.label": "production"}

    @property
    def trace(self) -> dict[str, str]:
        return self._trace


EXTRACTOR, GREETER = Assigned("order-extractor"), Assigned("greeter", "v1.0")


class Traced:
    """A tracer whose spans are stamped, and what they were stamped with."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = provider or TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        stamping.instrument(self.provider)
        self.tracer: Tracer = self.provider.get_tracer("app")

    def call(self, name: str = "chat", **attributes: Any) -> None:
        self.tracer.start_span(name, attributes=attributes).end()

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    @property
    def stamps(self) -> dict[str, str | None]:
        """Name of a span → name of its prompt."""
        return {span.name: (span.attributes or {}).get(NAME) for span in self.spans}  # type: ignore[misc]


@pytest.fixture
def traced() -> Traced:
    return Traced()


@pytest.fixture
def global_provider(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Sets OpenTelemetry's global provider, which apps can do once."""
    return lambda provider: monkeypatch.setattr(otel_trace, "_TRACER_PROVIDER", provider)


@pytest.fixture
def without_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    stamping._open_telemetry.cache_clear()
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # importing it fails
    yield
    stamping._open_telemetry.cache_clear()


def test_span__inside__attributes_and_the_same_as_an_event(traced: Traced) -> None:
    with EXTRACTOR:
        traced.call()

    (span,) = traced.spans
    assert dict(span.attributes or {}) == EXTRACTOR.trace
    assert [(event.name, dict(event.attributes or {})) for event in span.events] == [
        ("serinus.assignment", EXTRACTOR.trace)
    ]


def test_span__before_and_after__nothing(traced: Traced) -> None:
    traced.call("before")
    with EXTRACTOR:
        pass
    traced.call("after")

    assert traced.stamps == {"before": None, "after": None}
    assert not any(span.events for span in traced.spans)


def test_span__nested__innermost_wins_and_leaving_restores(traced: Traced) -> None:
    with EXTRACTOR:
        traced.call("outer")
        with GREETER, EXTRACTOR, GREETER:
            traced.call("inner")
        traced.call("outer again")

    assert traced.stamps == {"outer": "order-extractor", "inner": "greeter", "outer again": "order-extractor"}


def test_span__error_inside__left(traced: Traced) -> None:
    with pytest.raises(ZeroDivisionError), EXTRACTOR:
        raise ZeroDivisionError

    assert stamping.current() is None


def test_span__started_inside_ended_outside__stamped(traced: Traced) -> None:
    with EXTRACTOR:
        span = traced.tracer.start_span("stream")
    span.end()

    assert traced.stamps == {"stream": "order-extractor"}


def test_span__app_named_another_prompt__left_as_it_is(traced: Traced) -> None:
    with EXTRACTOR:
        traced.call(**{NAME: "greeter"})

    (span,) = traced.spans
    assert dict(span.attributes or {}) == {NAME: "greeter"}
    assert not span.events


def test_span__app_named_the_same__completed(traced: Traced) -> None:
    with EXTRACTOR:
        traced.call(**{NAME: "order-extractor", "user.id": "anna"})

    (span,) = traced.spans
    assert dict(span.attributes or {}) == {**EXTRACTOR.trace, "user.id": "anna"}


def test_span__more_attributes_than_the_limit__event_is_kept() -> None:
    traced = Traced(TracerProvider(span_limits=SpanLimits(max_attributes=128), shutdown_on_exit=False))

    with EXTRACTOR:
        span = traced.tracer.start_span("long chat")
        span.set_attributes({f"llm.input_messages.{number}.message.content": "…" for number in range(130)})
        span.end()

    (ended,) = traced.spans
    assert NAME not in (ended.attributes or {})
    assert [event.attributes for event in ended.events] == [EXTRACTOR.trace]


def test_tasks__mixed__each_with_its_own(traced: Traced) -> None:
    async def call(number: int) -> None:
        async with Assigned(f"prompt-{number}"):
            await asyncio.sleep(0)
            traced.call(f"call {number}")
            await asyncio.sleep(0)
            traced.call(f"call {number} again")

    async def mixed() -> None:
        await asyncio.gather(*(call(number) for number in range(8)))

    asyncio.run(mixed())

    assert len(traced.stamps) == 16
    assert all(prompt == f"prompt-{name.split()[1]}" for name, prompt in traced.stamps.items())


def test_task__started_inside_and_outliving_it__stamped(traced: Traced) -> None:
    async def call() -> None:
        with GREETER:
            pass
        traced.call()

    async def app() -> None:
        with EXTRACTOR:
            task = asyncio.create_task(call())
        await task

    asyncio.run(app())

    assert traced.stamps == {"chat": "order-extractor"}


def test_one_prompt__entered_by_many_threads_and_tasks_at_once__each_leaves_its_own(traced: Traced) -> None:
    meeting = threading.Barrier(8, timeout=30)

    def call(number: int) -> None:
        with Assigned(f"prompt-{number}"):
            with EXTRACTOR:
                meeting.wait()
                traced.call(f"shared {number}")
                meeting.wait()
            traced.call(f"own {number}")

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(call, range(8)))

    assert {traced.stamps[f"shared {number}"] for number in range(8)} == {"order-extractor"}
    assert [traced.stamps[f"own {number}"] for number in range(8)] == [f"prompt-{number}" for number in range(8)]


def test_in_context__executor__stamped_and_the_worker_left_clean(traced: Traced) -> None:
    with ThreadPoolExecutor(1) as executor:
        executor.submit(EXTRACTOR.in_context(traced.call), "inside").result()
        executor.submit(traced.call, "outside").result()

    assert traced.stamps == {"inside": "order-extractor", "outside": None}


def test_in_context__coroutine_function__stays_one(traced: Traced) -> None:
    async def call(name: str) -> str:
        await asyncio.sleep(0)
        traced.call(name)
        return name

    wrapped = EXTRACTOR.in_context(call)

    assert inspect.iscoroutinefunction(wrapped)
    assert wrapped.__name__ == "call"
    assert asyncio.run(wrapped("async")) == "async"  # type: ignore[arg-type]  # a coroutine it is
    assert traced.stamps == {"async": "order-extractor"}


def test_in_context__object_called_as_a_coroutine_function__stamped(traced: Traced) -> None:
    class Caller:
        async def __call__(self) -> None:
            await asyncio.sleep(0)
            traced.call()

    asyncio.run(EXTRACTOR.in_context(Caller())())

    assert traced.stamps == {"chat": "order-extractor"}


def test_in_context__error__raised_and_left(traced: Traced) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        EXTRACTOR.in_context(fail)()

    assert stamping.current() is None


def test_thread__given_opentelemetrys_context__stamped(traced: Traced) -> None:
    """As instrumentations of threading and apps do it; also when the thread comes to it after the `with`."""
    with EXTRACTOR:
        taken = otel_context.get_current()

    def work() -> None:
        token = otel_context.attach(taken)
        traced.call()
        otel_context.detach(token)

    run_in_thread(work)

    assert traced.stamps == {"chat": "order-extractor"}


def test_thread__parent_given_by_hand__stamped(traced: Traced) -> None:
    with EXTRACTOR:
        taken = otel_context.get_current()

    run_in_thread(lambda: traced.tracer.start_span("chat", context=taken).end())

    assert traced.stamps == {"chat": "order-extractor"}


def test_span__parent_of_another_prompts__stamped_by_where_it_starts(traced: Traced) -> None:
    with GREETER:
        taken = otel_context.get_current()

    with EXTRACTOR:
        traced.tracer.start_span("chat", context=taken).end()

    assert traced.stamps == {"chat": "order-extractor"}


def test_span__of_no_parent__stamped(traced: Traced) -> None:
    with EXTRACTOR:
        traced.tracer.start_span("root", context=otel_context.Context()).end()

    assert traced.stamps == {"root": "order-extractor"}


def test_leaving__span_that_began_inside_ends_later__nothing_comes_back(traced: Traced) -> None:
    """Its end restores the context of OpenTelemetry that it began in, in which the prompt still is."""
    prompt = EXTRACTOR.__enter__()
    span = traced.tracer.start_as_current_span("began inside")
    span.__enter__()

    prompt.__exit__()
    span.__exit__(None, None, None)
    traced.call("after")

    assert traced.stamps == {"began inside": "order-extractor", "after": None}


def entered_between(prompt: Assigned) -> Generator[None]:
    with prompt:
        yield


def test_leaving__generators_out_of_turn__nothing_stays(traced: Traced) -> None:
    first, second = entered_between(EXTRACTOR), entered_between(GREETER)
    next(first)
    next(second)

    first.close()
    traced.call("second is left to be closed")
    second.close()
    traced.call("after")

    assert traced.stamps == {"second is left to be closed": "greeter", "after": None}


def test_leaving__in_a_copy_of_the_context__not_raised_and_nothing_stays(
    traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    """As an async generator does that another task closes."""
    EXTRACTOR.__enter__()

    copy_context().run(EXTRACTOR.__exit__)
    traced.call()

    assert traced.stamps == {"chat": None}
    assert not caplog.records  # OpenTelemetry logs "Failed to detach context" of itself


def test_leaving__async_generator_closed_by_another_task__not_raised(
    traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    async def stream() -> AsyncIterator[int]:
        async with EXTRACTOR:
            yield 1
            yield 2

    async def app() -> None:
        chunks = stream()
        assert await anext(chunks) == 1
        await asyncio.create_task(chunks.aclose())  # type: ignore[attr-defined]  # an async generator it is
        traced.call()

    asyncio.run(app())

    assert traced.stamps == {"chat": None}
    assert not caplog.records


def test_leaving__never_entered_or_twice__not_raised() -> None:
    entry = stamping.enter(EXTRACTOR.trace)
    stamping.leave(entry)

    stamping.leave(entry)
    EXTRACTOR.__exit__(None, None, None)

    assert stamping.current() is None


def test_leaving__of_another_thread__the_one_who_entered_is_out_too() -> None:
    entry = stamping.enter(EXTRACTOR.trace)

    run_in_thread(lambda: stamping.leave(entry))

    assert stamping.current() is None


def test_global_provider__set_after_the_first_entering_and_replaced__both_stamp(
    global_provider: Callable[[Any], None],
) -> None:
    with EXTRACTOR:
        pass
    providers = [TracerProvider(shutdown_on_exit=False), TracerProvider(shutdown_on_exit=False)]

    for provider in providers:
        global_provider(provider)
        with EXTRACTOR, EXTRACTOR:
            pass

    assert [stampers_of(provider) for provider in providers] == [1, 1]


def test_instrument__again_and_by_many_threads__one_stamper() -> None:
    provider = TracerProvider(shutdown_on_exit=False)

    with ThreadPoolExecutor(8) as executor:
        answers = list(executor.map(lambda _: stamping.instrument(provider), range(32)))

    assert all(answers)
    assert stampers_of(provider) == 1


def test_instrument__one_added_by_hand_too__event_once(traced: Traced) -> None:
    traced.provider.add_span_processor(SpanStamper())

    with EXTRACTOR:
        traced.call()

    assert len(traced.spans[0].events) == 1


def test_instrument__no_provider_set__says_no(global_provider: Callable[[Any], None]) -> None:
    global_provider(None)

    assert stamping.instrument() is False


def test_instrument__provider_that_fails__not_raised(global_provider: Callable[[Any], None]) -> None:
    class Failing:
        def add_span_processor(self, processor: object) -> None:
            raise RuntimeError("no")

    global_provider(Failing())

    with EXTRACTOR:
        assert stamping.current() == EXTRACTOR.trace


def test_span__that_fails__not_raised() -> None:
    class Failing:
        attributes = None

        def set_attribute(self, *_: object) -> None:
            raise RuntimeError("no")

    with EXTRACTOR:
        stamping.stamp(Failing())  # type: ignore[arg-type]  # as broken as can be


def test_without_opentelemetry__current_and_in_context_work(without_opentelemetry: None) -> None:
    with EXTRACTOR:
        assert stamping.current() == EXTRACTOR.trace
        with GREETER:
            assert stamping.current() == GREETER.trace
        assert stamping.current() == EXTRACTOR.trace
    assert stamping.current() is None
    assert EXTRACTOR.in_context(stamping.current)() == EXTRACTOR.trace
    assert stamping.instrument() is False
    assert stamping.active_trace_id() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_fork__while_a_provider_is_being_instrumented__child_can() -> None:
    with stamping._adding:
        stamping._in_a_forked_child()

        assert stamping.instrument(TracerProvider(shutdown_on_exit=False))


@pytest.mark.parametrize(
    ("attributes", "is_call"),
    [
        ({"gen_ai.operation.name": "chat"}, True),
        ({"gen_ai.operation.name": "embeddings"}, False),
        ({"llm.request.type": "completion"}, True),
        ({"openinference.span.kind": "LLM"}, True),
        ({"openinference.span.kind": "CHAIN", "gen_ai.operation.name": "chat"}, False),
        ({"langfuse.observation.type": "generation"}, True),
        ({"http.request.method": "POST"}, False),
    ],
)
def test_is_llm_call__by_the_names_of_instrumentations(attributes: dict[str, str], is_call: bool) -> None:
    assert stamping.is_llm_call(attributes) is is_call


def test_newest_call__several_spans__the_last_llm_call_among_them(traced: Traced) -> None:
    with EXTRACTOR:
        entry = stamping.current_entry()
        traced.call("first", **{"gen_ai.operation.name": "chat"})
        traced.call("second", **{"gen_ai.operation.name": "chat"})
        traced.call("tool", **{"gen_ai.operation.name": "execute_tool"})

    assert entry is not None
    second = traced.spans[1].get_span_context()
    assert second is not None
    assert entry.newest_call() == (f"{second.trace_id:032x}", f"{second.span_id:016x}")


def run_in_thread(work: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as executor:
        executor.submit(work).result()


def stampers_of(provider: TracerProvider) -> int:
    return sum(isinstance(one, SpanStamper) for one in provider._active_span_processor._span_processors)

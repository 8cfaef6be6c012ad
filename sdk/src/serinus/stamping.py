"""Which prompt is in use here? So that every OpenTelemetry span that starts inside `with prompt:` says so.

Each entering is an `Entry`. It stands in a context variable of ours, which asyncio's tasks inherit, and under a key of
OpenTelemetry's context, which goes wherever an app or an instrumentation takes that one, such as into threads. It is
never baggage, which some instrumentations send on to the provider.

Nothing here raises into the app. Without OpenTelemetry all the same is known, only that no span can be told.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any, Callable, NamedTuple, Protocol, TypeVar

logger = logging.getLogger("serinus")

EVENT = "serinus.assignment"
MOST_SPANS = 32  # remembered of one entering, to find the newest call among them
LLM_OPERATIONS = frozenset(
    ("chat", "text_completion", "generate_content", "completion", "acompletion", "responses", "realtime_inference")
)

Function = TypeVar("Function", bound=Callable[..., Any])
Stamped = TypeVar("Stamped", bound="Stamping")


class SpanIds(NamedTuple):
    """What names a call to whoever scores it: 32 and 16 lower-case hexadecimal digits."""

    trace_id: str
    span_id: str


class Span(Protocol):
    """What is used of OpenTelemetry's spans."""

    @property
    def attributes(self) -> Mapping[str, Any] | None: ...
    def set_attribute(self, key: str, value: str) -> None: ...
    def add_event(self, name: str, attributes: Mapping[str, str]) -> None: ...
    def get_span_context(self) -> Any: ...


class Entry:
    """One entering of a prompt, until it is left.

    left: its `with` is over. Tasks and threads that were started inside have copies of the context, and go on.
    passed_over: it was left in another context or out of turn, so that somebody may still see it who should not.
    """

    __slots__ = ("_calls", "_detach", "_reset", "attributes", "left", "outer", "owner", "passed_over", "thread")

    def __init__(self, attributes: Mapping[str, str], owner: object, outer: Entry | None) -> None:
        self.attributes = attributes
        self.owner = owner
        self.outer = outer
        self.thread = threading.get_ident()
        self.left = self.passed_over = False
        self._calls: deque[Span | SpanIds] | None = None
        self._reset: Token[Entry | None] | None = None
        self._detach: Any = None

    def note(self, call: Span | SpanIds) -> bool:
        """Remember what was started inside; False when it is remembered already."""
        if self._calls is None:
            self._calls = deque(maxlen=MOST_SPANS)
        elif self._calls and self._calls[-1] is call:
            return False
        self._calls.append(call)
        return True

    def newest_call(self) -> SpanIds | None:
        """The newest LLM call that was started inside, if any is known of."""
        for call in reversed(tuple(self._calls or ())):
            if isinstance(call, SpanIds):
                return call
            if is_llm_call(call.attributes or {}):
                return ids_of(call)
        return None


_innermost: ContextVar[Entry | None] = ContextVar("serinus", default=None)


def enter(attributes: Mapping[str, str], owner: object = None) -> Entry:
    """Everything started from here on, in this thread or task, is done with this prompt; answers what to leave by."""
    entry = Entry(attributes, owner, outer=_first_standing(_innermost.get()))
    entry._reset = _innermost.set(entry)
    otel = _open_telemetry()
    if otel is not None:
        try:
            entry._detach = otel.context.attach(otel.context.set_value(otel.key, entry))
        except Exception:
            _tell()
        instrument()
    return entry


def leave(entry: Entry) -> None:
    """What was in use before is again; in whatever thread, task or order it is called."""
    entry.left = True
    if _innermost.get() is entry and entry._reset is not None:
        with suppress(ValueError, RuntimeError):  # a copy of the context that it was entered in; left already
            _innermost.reset(entry._reset)
            _detach(entry)
            return
    entry.passed_over = True


def current() -> Mapping[str, str] | None:
    """The attributes of the prompt in use here."""
    entry = current_entry()
    return entry.attributes if entry else None


def current_entry(parent_context: Any = None) -> Entry | None:
    """The innermost entering, else the one that OpenTelemetry's context brought here, or the parent's of a span."""
    entry = _first_standing(_innermost.get())
    otel = _open_telemetry()
    if entry is None and otel is not None:
        entry = _brought(otel.context.get_value(otel.key))
        if entry is None and parent_context is not None:
            entry = _brought(otel.context.get_value(otel.key, parent_context))
    return entry


def in_context(attributes: Mapping[str, str], function: Function) -> Function:
    """The function, sync or async, that does all it does with this prompt: for executors and bare threads."""
    call = getattr(function, "__call__", None)  # noqa: B004  # of an object that is called like a function
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call):

        @functools.wraps(function)
        async def wrapped_async(*args: Any, **kwargs: Any) -> Any:
            entry = enter(attributes)
            try:
                return await function(*args, **kwargs)
            finally:
                leave(entry)

        return wrapped_async  # type: ignore[return-value]  # called and awaited as the function is

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        entry = enter(attributes)
        try:
            return function(*args, **kwargs)
        finally:
            leave(entry)

    return wrapped  # type: ignore[return-value]  # called as the function is


class Stamping:
    """`with prompt:`, also `async with`, for whatever has a `trace`; entered by any number of threads and tasks."""

    __slots__ = ()

    @property
    def trace(self) -> Mapping[str, str]:
        """The attributes to stamp with."""
        raise NotImplementedError

    def __enter__(self: Stamped) -> Stamped:
        enter(self.trace, owner=self)
        return self

    def __exit__(self, *_: object) -> None:
        entry = _innermost.get()
        while entry is not None and (entry.owner is not self or entry.left):
            entry = entry.outer
        if entry is not None:
            leave(entry)

    async def __aenter__(self: Stamped) -> Stamped:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()

    def in_context(self, function: Function) -> Function:
        """The function, sync or async, that does all it does with this prompt: for executors and bare threads."""
        return in_context(self.trace, function)


def instrument(provider: Any = None) -> bool:
    """Have the spans of a TracerProvider stamped, by default of the global one; answers whether they are.

    Entering a prompt does it for the global one, also for one that is set or replaced later.
    """
    otel = _open_telemetry()
    if otel is None:
        return False
    try:
        provider = otel.trace.get_tracer_provider() if provider is None else provider
        if not hasattr(provider, "add_span_processor"):
            return False  # none has been set yet, or one that is not of OpenTelemetry's SDK
        # Marked is what holds the processors: a provider may stand for another one, which changes (logfire's does).
        processors = getattr(provider, "_active_span_processor", provider)
        if not hasattr(processors, _MARK):
            _add_stamper(provider, processors)
    except Exception:
        _tell()
        return False
    return True


def stamp(span: Span, parent_context: Any = None) -> None:
    """Tell a span that starts here of the prompt in use, unless it was told of one already.

    The event says the same as the attributes, of which OpenTelemetry throws away the oldest when there are too many.
    """
    try:
        entry = current_entry(parent_context)
        if entry is not None and _is_free_for(entry.attributes, span) and entry.note(span):
            for name, value in entry.attributes.items():
                span.set_attribute(name, value)
            span.add_event(EVENT, entry.attributes)
    except Exception:
        _tell()


def active_trace_id() -> str | None:
    """Of the recording span that is active here."""
    otel = _open_telemetry()
    if otel is not None:
        try:
            span = otel.trace.get_current_span()
            return ids_of(span).trace_id if span.is_recording() else None
        except Exception:
            _tell()
    return None


def is_llm_call(attributes: Mapping[str, Any]) -> bool:
    """Whether a span's attributes are an LLM call's, by the names that instrumentations give it when it starts."""
    if kind := attributes.get("openinference.span.kind"):
        return bool(kind == "LLM")
    if kind := attributes.get("langfuse.observation.type"):
        return bool(kind == "generation")
    return (attributes.get("gen_ai.operation.name") or attributes.get("llm.request.type")) in LLM_OPERATIONS


def ids_of(span: Span) -> SpanIds:
    context = span.get_span_context()
    return SpanIds(f"{context.trace_id:032x}", f"{context.span_id:016x}")


def _is_free_for(attributes: Mapping[str, str], span: Span) -> bool:
    """Not if the app named another prompt itself: half of one and half of another would be neither."""
    had = span.attributes
    return not had or all(had.get(name, value) == value for name, value in attributes.items())


def _first_standing(entry: Entry | None) -> Entry | None:
    while entry is not None and entry.passed_over:
        entry = entry.outer
    return entry


def _brought(found: object) -> Entry | None:
    """An entry found in OpenTelemetry's context.

    One that was left counts in other threads alone, which may have been given it while it was not. Where it was entered
    it comes back when a span that began inside ends after it was left.
    """
    entry = _first_standing(found) if isinstance(found, Entry) else None
    return None if entry is None or (entry.left and entry.thread == threading.get_ident()) else entry


def _detach(entry: Entry) -> None:
    otel = _open_telemetry()
    if otel is not None and entry._detach is not None:
        otel.context.detach(entry._detach)


class _OpenTelemetry(NamedTuple):
    context: Any
    trace: Any
    key: str


@functools.cache
def _open_telemetry() -> _OpenTelemetry | None:
    try:
        from opentelemetry import context, trace
    except Exception:  # absent, or broken: the app works without
        logger.debug("serinus.opentelemetry_absent", exc_info=True)
        return None
    return _OpenTelemetry(context, trace, context.create_key("serinus"))


_MARK = "_serinus_stamps"
_adding = threading.Lock()


def _add_stamper(provider: Any, processors: Any) -> None:
    from serinus.spans import SpanStamper

    with _adding:
        if not hasattr(processors, _MARK):
            provider.add_span_processor(SpanStamper())
            setattr(processors, _MARK, True)


def _in_a_forked_child() -> None:
    global _adding
    _adding = threading.Lock()  # a thread that held it is not there any more


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_forked_child)


def _tell() -> None:
    """Of an error in what others made, which must not become the app's."""
    logger.debug("serinus.stamping_failed", exc_info=True)

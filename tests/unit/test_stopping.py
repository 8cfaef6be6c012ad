"""A process that works on and on stops when it is told to."""

import signal
import threading
from collections.abc import Iterator

import pytest

from common.stopping import until_told


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_until_told__signal__set_from_then_on(number: signal.Signals) -> None:
    seen: list[bool] = []

    def run(stopping: threading.Event) -> None:
        seen.append(stopping.is_set())
        signal.raise_signal(number)
        seen.append(stopping.wait(10))

    until_told(run)

    assert seen == [False, True]

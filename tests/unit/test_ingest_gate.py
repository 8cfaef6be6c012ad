"""The gate before the database: turns one after the other, and an answer for those who get none."""

import threading
import time
from contextlib import suppress

import pytest

from common.errors import Unavailable
from observability.ingest.gate import Gate
from tests.parallel import start


def test_turn__another_at_work__waits_until_it_is_done() -> None:
    gate = Gate(at_work=1, most_waiting=1, patience_s=10)
    order = []

    with gate.turn():
        second = start(lambda: enter(gate, lambda: order.append("second")))
        time.sleep(0.1)
        order.append("first")
    second.result(timeout=10)

    assert order == ["first", "second"]


def test_turn__longer_than_its_patience__refused_and_the_place_is_free_again() -> None:
    gate = Gate(at_work=1, most_waiting=1, patience_s=0.05)

    with gate.turn():
        for _ in range(3):
            with pytest.raises(Unavailable) as refused:
                start(lambda: enter(gate)).result(timeout=10)

    assert (refused.value.status, refused.value.code) == (503, "busy")
    start(lambda: enter(gate)).result(timeout=10)


def test_turn__more_than_may_wait__refused_at_once() -> None:
    gate = Gate(at_work=1, most_waiting=2, patience_s=10)
    arrived = threading.Barrier(3)

    def wait() -> None:
        arrived.wait(timeout=10)
        enter(gate)

    with gate.turn():
        waiting = [start(wait) for _ in range(2)]
        arrived.wait(timeout=10)
        time.sleep(0.1)
        asked = time.monotonic()
        with pytest.raises(Unavailable):
            start(lambda: enter(gate)).result(timeout=10)
        took = time.monotonic() - asked

    assert took < 1
    for each in waiting:
        each.result(timeout=10)


def test_turn__work_that_fails__the_next_has_its_turn() -> None:
    gate = Gate(at_work=1, most_waiting=0, patience_s=0.05)

    def fail() -> None:
        raise ZeroDivisionError

    with suppress(ZeroDivisionError):
        enter(gate, fail)

    start(lambda: enter(gate)).result(timeout=10)


def enter(gate: Gate, work: object = None) -> None:
    with gate.turn():
        if callable(work):
            work()

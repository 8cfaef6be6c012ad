"""Which connections are cut off: those whose client has stopped in the middle of a request, and no others."""

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.silence import cut_off_silent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows when a connection was last used")

Connection = tuple[socket.socket, socket.socket]  # the client's end, and ours


@pytest.fixture
def connection() -> Iterator[Connection]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        client.settimeout(10)
        with listener.accept()[0] as ours:
            client.sendall(b"POST")
            ours.recv(4)
            yield client, ours


def cut_off(connection: Connection, silent_s: float, port: int | None = None) -> bool:
    client, ours = connection
    time.sleep(0.1)  # the silence itself
    cut_off_silent(ours.getsockname()[1] if port is None else port, silent_s)
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False


def test_silent__nothing_answered__cut_off(connection: Connection) -> None:
    assert cut_off(connection, 0.05)


def test_silent__not_for_so_long__stays(connection: Connection) -> None:
    assert not cut_off(connection, 60)


@pytest.mark.parametrize("work_s", [0, 0.05])
def test_silent__answered_and_kept_alive__stays(connection: Connection, work_s: float) -> None:
    client, ours = connection
    time.sleep(work_s)
    ours.sendall(b"200")
    client.recv(3)

    assert not cut_off(connection, 0.05)


def test_silent__in_the_middle_of_a_later_request__cut_off(connection: Connection) -> None:
    client, ours = connection
    ours.sendall(b"200")
    client.recv(3)
    time.sleep(0.05)  # longer than a tick of the kernel's clock
    client.sendall(b"POST")
    ours.recv(4)

    assert cut_off(connection, 0.05)


def test_silent__of_another_port__stays(connection: Connection) -> None:
    client, _ = connection  # as one to a database: its own port is not the server's

    assert not cut_off(connection, 0.05, port=client.getpeername()[1] - 1)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_look__whatever_is_open__opens_nothing_more(connection: Connection) -> None:
    before = open_files()

    for _ in range(3):
        cut_off_silent(connection[1].getsockname()[1], 60)

    assert open_files() == before

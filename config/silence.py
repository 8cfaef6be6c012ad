"""Who stopped in the middle of a request: the client has sent nothing for long, and we have answered nothing since.

The web server tells nobody which connection a request came by, so it is the kernel that is asked, about all of them. A
connection between two requests is another matter: there our answer was the last that was sent.
"""

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

ESTABLISHED = 1  # <netinet/tcp.h>
INFO = struct.Struct("=B43xI4xI100xI")  # of its struct tcp_info, which grows at its end (the last is of Linux 4.6)


class Talk(NamedTuple):
    """ms: by the kernel's clock, whose ticks are of some milliseconds; before anything was sent, of the connection."""

    state: int
    sent_ms_ago: int
    received_ms_ago: int
    segments_sent: int


def cut_off_silent(port: int, silent_s: float) -> None:
    """End this process's connections to the port whose client is silent so. Only Linux knows; elsewhere they stay."""
    if sys.platform != "linux":
        return
    for file in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError), _connection(int(file.name)) as connection:
            talk = Talk(*INFO.unpack(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, INFO.size)))
            if _is_silent(talk, silent_s) and connection.getsockname()[1] == port:
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def _connection(descriptor: int) -> Iterator[socket.socket]:
    """A socket of its own for the connection, which may be closed meanwhile. Raises OSError where there is none."""
    copy = os.dup(descriptor)
    try:
        connection = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
    with connection:
        yield connection


def _is_silent(talk: Talk, silent_s: float) -> bool:
    unanswered = talk.segments_sent == 0 or talk.sent_ms_ago > talk.received_ms_ago
    return talk.state == ESTABLISHED and unanswered and talk.received_ms_ago > 1000 * silent_s

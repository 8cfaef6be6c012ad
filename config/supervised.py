"""How a process under the supervisor begins: `python -m config.supervised PARENT_PID NAME COMMAND…`.

It ties its life to its parent's, promises to say when it is up, and then runs the management command.
"""

import ctypes
import os
import signal
import sys
from typing import Any

from django.core.management import execute_from_command_line
from django.db.backends.signals import connection_created

READY_FD = "SERINUS_READY_FD"
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


LIBC = ctypes.CDLL(None)


def main(parent: int, name: str, command: list[str]) -> None:
    # Ctrl-C reaches the whole group. Only the supervisor acts on it: told twice to stop, a cluster may hang.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    die_with_parent(parent)
    die_with_parents_below()
    announce_when_up(name, int(os.environ.pop(READY_FD)))
    execute_from_command_line(["manage.py", *command])


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies.

    A supervisor that is killed cannot end its children, and granian's workers would go on holding the port. Only Linux
    has this; elsewhere the children of a killed parent have to be ended by hand.
    """
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel was told
            os.kill(os.getpid(), signal.SIGKILL)


def die_with_parents_below() -> None:
    """The same for every process that this one forks, at any depth: a fork does not inherit the wish."""
    forking = {"pid": 0}
    os.register_at_fork(
        before=lambda: forking.update(pid=os.getpid()),
        after_in_child=lambda: die_with_parent(forking["pid"]),
    )


def announce_when_up(name: str, ready_fd: int) -> None:
    """A process is up when it first talks to the database; then its name is written to the supervisor's pipe, once."""

    def announce(**kwargs: Any) -> None:
        connection_created.disconnect(announce)
        os.write(ready_fd, f"{name}\n".encode())

    connection_created.connect(announce, weak=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])

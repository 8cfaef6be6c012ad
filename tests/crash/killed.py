"""Work in a process of its own that is killed with SIGKILL at a chosen commit: it cannot clean anything up."""

import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

GONE_WITHIN_S = 30
FAILED = 255


@dataclass(frozen=True, slots=True)
class Kill:
    """Of the process that does the work: right before or right after its commit of this number, from 1."""

    commit: int
    when: Literal["before", "after"]

    def __str__(self) -> str:
        return f"{self.when} commit {self.commit}"


def run(work: Callable[[], object], kill: Kill | None = None) -> int:
    """Do the work in a forked process, with connections of its own; how many commits it made.

    Raises AssertionError unless it ended as it was meant to: by the kill, or without one and without an error.
    """
    connections.close_all()  # of two processes with one connection neither could use it
    if (pid := os.fork()) == 0:
        _work_and_exit(work, kill)
    _, status = os.waitpid(pid, 0)
    if kill:
        assert os.WIFSIGNALED(status), f"not killed {kill}: there were fewer commits"
        assert os.WTERMSIG(status) == signal.SIGKILL
        _wait_until_the_database_has_noticed()
        return kill.commit
    commits = os.waitstatus_to_exitcode(status)
    assert commits != FAILED, "the work failed: its traceback is above"
    return commits


def _work_and_exit(work: Callable[[], object], kill: Kill | None) -> None:
    """In the new process, which must never go on with what its parent was about to do."""
    status = FAILED
    try:
        commits = _Commits(kill)
        with connection.execute_wrapper(commits.of_single_statements):
            BaseDatabaseWrapper.commit = commits.counting(BaseDatabaseWrapper.commit)  # type: ignore[method-assign]
            work()
        status = commits.made
        connection.close()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


class _Commits:
    """Counts what is committed, by a transaction or by a write outside of one, and kills where it is told to."""

    def __init__(self, kill: Kill | None) -> None:
        self.made = 0
        self._kill = kill

    def counting(self, commit: Callable[[Any], None]) -> Callable[[Any], None]:
        return lambda connection: self._make(lambda: commit(connection))

    def of_single_statements(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        writes = sql.lstrip().startswith(("INSERT", "UPDATE", "DELETE"))
        if not writes or connection.in_atomic_block:
            return execute(sql, params, many, context)
        return self._make(lambda: execute(sql, params, many, context))

    def _make(self, commit: Callable[[], Any]) -> Any:
        self.made += 1
        if self._kill == Kill(self.made, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        answer = commit()
        if self._kill == Kill(self.made, "after"):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


def _wait_until_the_database_has_noticed() -> None:
    """PostgreSQL rolls a lost client back when it finds its socket closed; until then the client's locks are held."""
    if connection.vendor != "postgresql":
        return
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    deadline = time.monotonic_ns() + GONE_WITHIN_S * 10**9
    with connection.cursor() as cursor:
        while cursor.execute(others) and cursor.fetchone() != (0,):
            assert time.monotonic_ns() < deadline

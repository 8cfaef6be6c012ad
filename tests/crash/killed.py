"""Work in a process of its own that is killed with SIGKILL at a chosen moment: it cannot clean anything up.

The process is forked from the one that tests, where everything is loaded already, so that a kill costs milliseconds.
"""

import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import psycopg
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
    status = _fork(work, _Commits(kill))
    if kill:
        assert _was_killed(status), f"not killed {kill}: there were fewer commits"
        return kill.commit
    commits = os.waitstatus_to_exitcode(status)
    assert commits != FAILED, "the work failed: its traceback is above"
    return commits


def run_to(point: int, work: Callable[[], object]) -> bool:
    """Do the work in a forked process up to this point, from 1, and kill it there; False when it ended before.

    Points are before each statement, whatever it is, before each commit and after each commit. What is written between
    two of them is not there in the database or is there wholly, so these are all the moments that differ.
    """
    status = _fork(work, _Points(point))
    if _was_killed(status):
        return True
    assert os.waitstatus_to_exitcode(status) != FAILED, "the work failed: its traceback is above"
    return False


class Watch(Protocol):
    """What counts the work's doings and kills; of its count the work's process tells at its end."""

    count: int

    def statement(self, execute: Callable[[], Any], *, commits: bool) -> Any: ...

    def commit(self, commit: Callable[[], Any]) -> Any: ...


class _Commits:
    def __init__(self, kill: Kill | None) -> None:
        self.count = 0
        self._kill = kill

    def statement(self, execute: Callable[[], Any], *, commits: bool) -> Any:
        return self.commit(execute) if commits else execute()

    def commit(self, commit: Callable[[], Any]) -> Any:
        self.count += 1
        if self._kill == Kill(self.count, "before"):
            _die()
        answer = commit()
        if self._kill == Kill(self.count, "after"):
            _die()
        return answer


class _Points:
    def __init__(self, last: int) -> None:
        self.count = 0
        self._last = last

    def statement(self, execute: Callable[[], Any], *, commits: bool) -> Any:
        if commits:
            return self.commit(execute)
        self._reach()
        return execute()

    def commit(self, commit: Callable[[], Any]) -> Any:
        self._reach()
        answer = commit()
        self._reach()
        return answer

    def _reach(self) -> None:
        self.count += 1
        if self.count == self._last:
            _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fork(work: Callable[[], object], watch: Watch) -> int:
    """How the process ended that did the work; by then the database knows it."""
    connections.close_all()  # of two processes with one connection neither could use it
    if (pid := os.fork()) == 0:
        _work_and_exit(work, watch)
    _, status = os.waitpid(pid, 0)
    _wait_until_the_database_has_noticed()
    return status


def _was_killed(status: int) -> bool:
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
    return os.WIFSIGNALED(status)


def _work_and_exit(work: Callable[[], object], watch: Watch) -> None:
    """In the new process, which must never go on with what its parent was about to do."""
    status = FAILED
    try:
        _watch_by(watch)
        work()
        status = min(watch.count, FAILED - 1)
        connection.close()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _watch_by(watch: Watch) -> None:
    """From now on all that this process tells a database goes by the watch. COPY goes past Django's own wrappers."""
    commit, copy = BaseDatabaseWrapper.commit, psycopg.Cursor.copy

    def execute(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        writes = sql.lstrip().startswith(("INSERT", "UPDATE", "DELETE"))
        commits = writes and not connection.in_atomic_block
        return watch.statement(lambda: execute(sql, params, many, context), commits=commits)

    def watched_copy(cursor: Any, *arguments: Any, **options: Any) -> Any:
        return watch.statement(lambda: copy(cursor, *arguments, **options), commits=False)

    connection.execute_wrappers.append(execute)
    BaseDatabaseWrapper.commit = lambda self: watch.commit(lambda: commit(self))  # type: ignore[method-assign]
    psycopg.Cursor.copy = watched_copy  # type: ignore[method-assign]


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

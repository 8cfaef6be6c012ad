"""Work in a process of its own that is killed with SIGKILL at a chosen moment: it cannot clean anything up.

The process is forked from the one that tests, where everything is loaded already, so that a kill costs milliseconds.
"""

import faulthandler
import os
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any

import psycopg
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

GONE_WITHIN_S = 30
ENDED_WITHIN_S = 60
FAILED = 255


def run(work: Callable[[], object], after_commit: int | None = None) -> int:
    """Do the work in a forked process, with connections of its own; how many commits it made.

    after_commit: its process is killed right after the commit of this number, from 1. Raises AssertionError unless it
    ended as it was meant to: by the kill, or without one and without an error.
    """
    status = _fork(work, _Watch(last_commit=after_commit))
    if after_commit is None:
        return _commits(status)
    assert _was_killed(status), f"not killed after commit {after_commit}: there were fewer"
    return after_commit


def run_to(point: int, work: Callable[[], object]) -> bool:
    """Do the work in a forked process up to this point, from 1, and kill it there; False when it ended before.

    Points are before each statement, whatever it is, before each commit and after each commit. What is written between
    two of them is not there in the database or is there wholly, so these are all the moments that differ.
    """
    status = _fork(work, _Watch(last_point=point))
    if _was_killed(status):
        return True
    _commits(status)
    return False


class _Watch:
    """Counts the commits and the points that the work comes to, and kills its process at the last one it may reach."""

    def __init__(self, *, last_commit: int | None = None, last_point: int | None = None) -> None:
        self.commits = self._points = 0
        self._last_commit, self._last_point = last_commit, last_point

    def statement(self, execute: Callable[[], Any], *, commits: bool) -> Any:
        if commits:
            return self.commit(execute)
        self._reach_point()
        return execute()

    def commit(self, commit: Callable[[], Any]) -> Any:
        self._reach_point()
        answer = commit()
        self.commits += 1
        if self.commits == self._last_commit:
            _die()
        self._reach_point()
        return answer

    def _reach_point(self) -> None:
        self._points += 1
        if self._points == self._last_point:
            _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fork(work: Callable[[], object], watch: _Watch) -> int:
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


def _commits(status: int) -> int:
    commits = os.waitstatus_to_exitcode(status)
    assert 0 <= commits < FAILED, "the work failed, or hung: its traceback is above"
    return commits


def _work_and_exit(work: Callable[[], object], watch: _Watch) -> None:
    """In the new process, which must never go on with what its parent was about to do."""
    status = FAILED
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        faulthandler.register(signal.SIGALRM, chain=True)  # one that hangs says where, and ends
        signal.alarm(ENDED_WITHIN_S)
        _watch_by(watch)
        work()
        status = watch.commits
        connection.close()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _watch_by(watch: _Watch) -> None:
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
            time.sleep(0.001)

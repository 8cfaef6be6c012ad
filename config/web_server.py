"""The HTTP server that web processes run, granian, with its settings.

It loads no model, so that benchmarks can put another application behind the same server.
"""

import multiprocessing
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import MPServer

from config import arrivals
from rollout.serving import waiting

# Of each worker. Requests that wait for SQLite's one writer hold a thread each, and serving prompts needs one beside
# them: while 24 clients sent traces, GET /prompts took 950 ms with 8 threads and 3 ms with 16 (median, 2 workers).
THREADS = 16
STOP_WITHIN_S = 5  # a worker that is still answering this long after SIGTERM is killed
LOG_THROUGH_DJANGO = {"formatters": {}, "handlers": {}, "loggers": {"_granian": {"propagate": True}}}


class WebServer(MPServer):
    """Told to stop, it lets nobody wait any longer: its workers end when all their requests are answered."""

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        waiting.close()
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]  # granian has no types here


def web_server(target: str, *, host: str, port: int, workers: int) -> WebServer:
    """The server of this WSGI callable, `module:name`; benchmarks put others than ours behind it."""
    # Workers that are forked here share what is already imported, and end with this process (config.supervised).
    multiprocessing.set_start_method("fork", force=True)
    return WebServer(
        target,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=THREADS + waiting.MOST_WAITING + arrivals.MOST_ARRIVING,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_WITHIN_S,
        log_level=LogLevels.error,
        log_dictconfig=LOG_THROUGH_DJANGO,
    )

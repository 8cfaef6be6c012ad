"""`manage.py run_web`: the web server alone, for hosts on which web and background work run apart."""

import multiprocessing
from argparse import ArgumentParser
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import MPServer

from config import arrivals, listening, metrics
from rollout.serving import waiting

# Of each worker. Requests that wait for SQLite's one writer hold a thread each, and serving prompts needs one beside
# them: while 24 clients sent traces, GET /prompts took 950 ms with 8 threads and 3 ms with 16 (median, 2 workers).
THREADS = 16
POOL_WAIT_S = 5  # for a connection; then the request is refused
STOP_WITHIN_S = 5  # a worker that is still answering this long after SIGTERM is killed
LOG_THROUGH_DJANGO = {"formatters": {}, "handlers": {}, "loggers": {"_granian": {"propagate": True}}}


def share_connections() -> None:
    """Have a worker's threads share THREADS connections to PostgreSQL: each would otherwise keep one of its own.

    Must come before the first connection. Only here: a pool does not outlive a fork, and background work forks.
    """
    database = settings.DATABASES["default"]
    if "postgresql" in database["ENGINE"]:
        database["CONN_MAX_AGE"] = 0  # the pool keeps them
        database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": THREADS, "timeout": POOL_WAIT_S}


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


class Command(BaseCommand):
    help = "Run the web server alone; `serve` runs everything."

    def add_arguments(self, parser: ArgumentParser) -> None:
        listening.add_arguments(parser)

    def handle(self, *args: Any, host: IPv4Address | IPv6Address, port: int, workers: int, **options: Any) -> None:
        listening.settle(listening.Address(host, port))
        metrics.begin_anew()
        share_connections()
        web_server("config.wsgi:application", host=str(host), port=port, workers=workers).serve()

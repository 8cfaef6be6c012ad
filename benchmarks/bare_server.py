"""The HTTP server of `manage.py run_web`, with its settings, around any WSGI callable.

`python -m benchmarks.bare_server MODULE:CALLABLE --port PORT`
"""

import argparse
import multiprocessing

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import MPServer

from config.management.commands.run_web import STOP_WITHIN_S, THREADS
from rollout.serving import waiting

WORKERS = 2


def serve(target: str, port: int, workers: int = WORKERS) -> None:
    """Until SIGTERM."""
    multiprocessing.set_start_method("fork", force=True)
    MPServer(
        target,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=THREADS + waiting.MOST_WAITING,
        workers_kill_timeout=STOP_WITHIN_S,
        log_level=LogLevels.error,
    ).serve()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    serve(given.target, given.port)


if __name__ == "__main__":
    main()

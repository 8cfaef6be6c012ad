"""`GET /metrics`: what all web processes of one `run_web` have counted, in Prometheus' text format.

Each process counts in files of its own in the data folder (PROMETHEUS_MULTIPROC_DIR, which the settings set), so that
nothing is lost with a process that dies; a starting web server forgets those of the one before it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Open to whoever can reach it, as Prometheus expects: numbers and ids of rollouts, never a prompt or a unit."""
    for file in _files_of_the_dead("gauge_live*.db"):
        file.unlink(missing_ok=True)  # a gauge tells of the living; what the dead have counted still counts
    counted = CollectorRegistry()
    MultiProcessCollector(counted)  # type: ignore[no-untyped-call]  # the library has no types for it
    return HttpResponse(generate_latest(counted), content_type=CONTENT_TYPE_LATEST)


def begin_anew() -> None:
    """Forget what former web servers have counted, as a counter of Prometheus may."""
    for file in _files_of_the_dead("*.db"):
        file.unlink(missing_ok=True)


def _files_of_the_dead(pattern: str) -> Iterator[Path]:
    """Such files are named like `counter_4711.db`, by the process."""
    for file in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob(pattern):
        if not psutil.pid_exists(int(file.stem.rpartition("_")[2])):
            yield file

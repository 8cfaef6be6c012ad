"""`GET /metrics`: what all web processes of a data folder have counted, in Prometheus' text format.

Each process counts in files of its own in the data folder (PROMETHEUS_MULTIPROC_DIR, which the settings set), so that
nothing is lost with a process that dies; a starting web server forgets those of the one before it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from common.requests import only_read
from rollout.serving import counts


@only_read
def metrics(request: HttpRequest) -> HttpResponse:
    """Open to whoever can reach it, as Prometheus expects: numbers and ids of rollouts, never a prompt or a unit."""
    for file in _files_of_the_dead("gauge_live*.db"):
        file.unlink(missing_ok=True)  # a gauge tells of the living; what the dead have counted still counts
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types for it
    registry.register(Counted())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class Counted(Collector):
    """Serving's counters (rollout.serving.counts)."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        totals = counts.totals(_folder())
        for counter in counts.COUNTERS:
            family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
            for (name, *values), number in totals.items():
                if name == counter.name:
                    family.add_metric(values, number)
            yield family


def begin_anew() -> None:
    """Forget what former web servers have counted, as a counter of Prometheus may."""
    for file in _files_of_the_dead("*"):
        file.unlink(missing_ok=True)


def _files_of_the_dead(pattern: str) -> Iterator[Path]:
    """Named by their process: `gauge_livesum_4711.db`, `4711_0.counts`."""
    for file in _folder().glob(pattern):
        process = file.stem.partition("_")[0] if file.suffix == counts.SUFFIX else file.stem.rpartition("_")[2]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            yield file


def _folder() -> Path:
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])

"""`GET /metrics`: what all web processes of a data folder have counted, and what waits for the background work.

Each process counts in files of its own in the data folder (PROMETHEUS_MULTIPROC_DIR, which the settings set), so that
nothing is lost with a process that dies; a starting web server forgets those of the one before it.
"""

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import psutil
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from common.clock import now
from common.requests import only_read
from config.health import serving_state_age_s
from observability.core.times import midnight
from observability.models import AlertKind, EvaluationStatus, Missing, Severity
from observability.selectors import judging
from observability.selectors.alerts import open_by_kind
from rollout import work
from rollout.serving import counts


@only_read
def metrics(request: HttpRequest) -> HttpResponse:
    """Open to whoever can reach it, as Prometheus expects: numbers and ids of rollouts, never a prompt or a unit."""
    for file in _files_of_the_dead("gauge_live*.db"):
        file.unlink(missing_ok=True)  # a gauge tells of the living; what the dead have counted still counts
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types for it
    registry.register(Counted())
    registry.register(BackgroundWork())
    registry.register(Judging())
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


class BackgroundWork(Collector):
    """Of all hosts, as the database knows it; nothing but that it is away when it is."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        found = _work()
        yield GaugeMetricFamily("serinus_database_up", "Whether the database answers.", value=found is not None)
        if found is None:
            return
        if found.evaluator_age_s is not None:
            help_ = "Since an evaluator was last seen, on any host."
            yield GaugeMetricFamily("serinus_evaluator_age_seconds", help_, value=found.evaluator_age_s)
        for name, help_, value in (
            ("serinus_look_late_seconds", "For how long the look that waits longest has been due.", found.look_late_s),
            ("serinus_tasks_waiting", "Background tasks that no process has taken yet.", found.tasks),
            ("serinus_deliveries_due", "Webhook deliveries that are due and not being sent.", found.deliveries_due),
            ("serinus_delivery_late_seconds", "For how long the oldest of them is due.", found.delivery_late_s),
        ):
            yield GaugeMetricFamily(name, help_, value=value)
        yield _alerts()


def _alerts() -> GaugeMetricFamily:
    """Every kind and severity, so that none is missing while it is 0."""
    family = GaugeMetricFamily("serinus_alerts_open", "Alerts whose cause holds.", labels=["kind", "severity"])
    counted = dict(open_by_kind())
    for kind, severity in product(AlertKind.values, Severity.values):
        family.add_metric([kind, severity], counted.get((kind, severity), 0))
    return family


class Judging(Collector):
    """Of all hosts, as the database knows it; nothing when it is away."""

    def collect(self) -> Iterator[Metric]:
        at = now()
        try:
            if serving_state_age_s():
                return
            waits, came_to = judging.waiting(), judging.outcomes(midnight(at.date()))
        except DatabaseError:
            return
        oldest_s = max(0.0, (at - waits.oldest_at).total_seconds()) if waits.oldest_at else 0.0
        for name, help_, value in (
            ("serinus_evaluations_waiting", "Evaluations that wait for their judge.", waits.number),
            ("serinus_evaluations_oldest_seconds", "For how long the oldest of them waits.", oldest_s),
        ):
            yield GaugeMetricFamily(name, help_, value=value)
        help_ = "Evaluations that were settled, by what came of them, anew each day of UTC."
        family = CounterMetricFamily("serinus_evaluations", help_, labels=["outcome"])
        for outcome in (EvaluationStatus.SCORED.value, *Missing.values):
            family.add_metric([outcome], came_to[outcome])
        yield family


def _work() -> work.Work | None:
    if serving_state_age_s():  # asking a database that is away takes longer than a scrape may
        return None
    try:
        return work.measure()
    except DatabaseError:
        return None


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

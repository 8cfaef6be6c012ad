"""`manage.py run_web`: the web server alone, for hosts on which web and background work run apart."""

from argparse import ArgumentParser
from importlib import import_module
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config import listening, metrics
from config.checks import SETTINGS
from config.web_server import THREADS, web_server

POOL_WAIT_S = 5  # for a connection; then the request is refused


def share_connections() -> None:
    """Have a worker's threads share THREADS connections to PostgreSQL: each would otherwise keep one of its own.

    Must come before the first connection. Only here: a pool does not outlive a fork, and background work forks.
    """
    database = settings.DATABASES["default"]
    if "postgresql" in database["ENGINE"]:
        database["CONN_MAX_AGE"] = 0  # the pool keeps them
        database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": THREADS, "timeout": POOL_WAIT_S}


class Command(BaseCommand):
    help = "Run the web server alone; `serve` runs everything."
    requires_system_checks = [SETTINGS]

    def add_arguments(self, parser: ArgumentParser) -> None:
        listening.add_arguments(parser)

    def handle(self, *args: Any, host: IPv4Address | IPv6Address, port: int, workers: int, **options: Any) -> None:
        listening.settle(listening.Address(host, port))
        metrics.begin_anew()
        share_connections()
        import_module(settings.ROOT_URLCONF)  # before the workers are forked: it takes each half a second otherwise
        web_server("config.wsgi:application", host=str(host), port=port, workers=workers).serve()

"""`manage.py qcluster`: django-q's own. Its processes are forked, so what they run is loaded before, and held once."""

from importlib import import_module
from typing import Any

from django_q.management.commands import qcluster

TASKS = ("observability.retention", "observability.rollups", "observability.watching")
"""The modules of all scheduled functions."""


class Command(qcluster.Command):  # type: ignore[misc]  # it has no types
    def handle(self, *args: Any, **options: Any) -> None:
        for module in TASKS:
            import_module(module)
        super().handle(*args, **options)

"""The time. The one place that reads it, so that a test or a database clock has one place to step in."""

from datetime import datetime

from django.utils import timezone


def now() -> datetime:
    """The present moment, UTC, aware."""
    return timezone.now()

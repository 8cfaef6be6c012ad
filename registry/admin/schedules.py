"""What background work runs by itself, and how often: django-q2's page, whose every change is in the audit trail."""

from typing import Any

from django.contrib import admin
from django_q.admin import ScheduleAdmin
from django_q.models import Schedule

from registry.admin.audited import AuditedAdmin

FIELDS = ("func", "hook", "args", "kwargs", "schedule_type", "minutes", "cron", "repeats", "cluster")

admin.site.unregister(Schedule)


@admin.register(Schedule)
class AuditedScheduleAdmin(AuditedAdmin, ScheduleAdmin):  # type: ignore[misc]  # django-q2 has no types
    kind = "schedule"

    def state_of(self, row: Any) -> dict[str, Any]:
        return {name: getattr(row, name) for name in FIELDS}

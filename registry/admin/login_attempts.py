"""Who is locked out of logging in (django-axes): deleting the attempts lets them in, which the audit trail records."""

from typing import Any

from axes.admin import AccessAttemptAdmin
from axes.models import AccessAttempt
from django.contrib import admin

from registry.admin.audited import AuditedAdmin

admin.site.unregister(AccessAttempt)


@admin.register(AccessAttempt)
class AuditedAccessAttemptAdmin(AuditedAdmin, AccessAttemptAdmin):  # type: ignore[misc]  # django-axes has no types
    kind = "lockout"

    def state_of(self, row: Any) -> dict[str, Any]:
        return {"address": row.ip_address, "failures": row.failures_since_start}

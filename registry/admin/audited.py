"""Pages of Django's and of packages that write by themselves: what they change is in the audit trail all the same."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from registry import audit
from registry.admin.acting import actor_of


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # takes none at run time
    """Changes are recorded as Django's pages make them: the row, then what it is related to, in one transaction."""

    kind: str

    def state_of(self, row: Any) -> dict[str, Any]:
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        stored = self.model._default_manager.filter(pk=obj.pk).first() if change else None
        form.audited_before = self.state_of(stored) if stored else None
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        action = "changed" if change else "created"
        self._record(request, action, form.instance, form.audited_before, self.state_of(form.instance))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._record(request, "deleted", obj, self.state_of(obj), None)
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            self._record(request, "deleted", row, self.state_of(row), None)
        super().delete_queryset(request, queryset)

    def _record(self, request: HttpRequest, action: str, row: Any, before: Any, after: Any) -> None:
        target = f"{self.kind}s/{row}"
        audit.record(action=f"{self.kind}.{action}", target=target, before=before, after=after, actor=actor_of(request))

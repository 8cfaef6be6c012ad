"""Who may log in and do what: Django's own pages for people and groups, whose every change is in the audit trail."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from registry import audit
from registry.admin.acting import actor_of

PERMISSION = ("content_type__app_label", "codename")


def user_json(user: User) -> dict[str, Any]:
    """What the person may do, without what is personal."""
    return {
        "active": user.is_active,
        "staff": user.is_staff,
        "superuser": user.is_superuser,
        "groups": sorted(user.groups.values_list("name", flat=True)),
        "permissions": _names(user.user_permissions),
    }


def group_json(group: Group) -> dict[str, Any]:
    return {"permissions": _names(group.permissions)}


@transaction.atomic
def own_password(request: HttpRequest) -> HttpResponse:
    """The admin's page to change one's own password, which Django tells nobody of."""
    answer = admin.site.password_change(request)
    if request.method == "POST" and answer.status_code == 302:
        _record_password(request, request.user)
    return answer


class _Audited(admin.ModelAdmin):  # type: ignore[type-arg]  # takes none at run time
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


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class AuditedUserAdmin(_Audited, UserAdmin):  # type: ignore[type-arg]  # takes none at run time
    kind = "user"

    def state_of(self, row: User) -> dict[str, Any]:
        return user_json(row)

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 (Django's name)
        answer = super().user_change_password(request, id, form_url)
        if request.method == "POST" and answer.status_code == 302:
            _record_password(request, User.objects.get(pk=id))
        return answer


@admin.register(Group)
class AuditedGroupAdmin(_Audited, GroupAdmin):
    kind = "group"

    def state_of(self, row: Group) -> dict[str, Any]:
        return group_json(row)


def _record_password(request: HttpRequest, user: Any) -> None:
    target = f"users/{user.get_username()}"
    audit.record(action="user.password_changed", target=target, before=None, after=None, actor=actor_of(request))


def _names(permissions: Any) -> list[str]:
    return sorted(".".join(names) for names in permissions.values_list(*PERMISSION))

"""Who may log in and do what: Django's own pages for people and groups, whose every change is in the audit trail."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from registry import audit
from registry.admin.acting import actor_of
from registry.admin.audited import AuditedAdmin

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


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class AuditedUserAdmin(AuditedAdmin, UserAdmin):  # type: ignore[type-arg]  # takes none at run time
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
class AuditedGroupAdmin(AuditedAdmin, GroupAdmin):
    kind = "group"

    def state_of(self, row: Group) -> dict[str, Any]:
        return group_json(row)


def _record_password(request: HttpRequest, user: Any) -> None:
    target = f"users/{user.get_username()}"
    audit.record(action="user.password_changed", target=target, before=None, after=None, actor=actor_of(request))


def _names(permissions: Any) -> list[str]:
    return sorted(".".join(names) for names in permissions.values_list(*PERMISSION))

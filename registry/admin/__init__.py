"""The registry in Django's admin. Every write goes through a service; what a service refuses is shown beside the form.

Each change takes a right (registry.rights), which is checked in the change's own transaction. Nothing is deleted here,
but people, groups and schedules.
"""

from registry.admin.audit import AuditEntryAdmin
from registry.admin.keys import ApiKeyAdmin
from registry.admin.labels import LabelAdmin
from registry.admin.login_attempts import AuditedAccessAttemptAdmin
from registry.admin.people import AuditedGroupAdmin, AuditedUserAdmin
from registry.admin.prompts import PromptAdmin
from registry.admin.schedules import AuditedScheduleAdmin
from registry.admin.versions import PromptVersionAdmin

__all__ = [
    "ApiKeyAdmin",
    "AuditEntryAdmin",
    "AuditedAccessAttemptAdmin",
    "AuditedGroupAdmin",
    "AuditedScheduleAdmin",
    "AuditedUserAdmin",
    "LabelAdmin",
    "PromptAdmin",
    "PromptVersionAdmin",
]

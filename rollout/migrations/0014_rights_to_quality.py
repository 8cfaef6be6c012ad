"""The groups' rights to what watches quality and spending: all look at it, and who releases or operates changes it."""

from typing import Any

from django.db import migrations

LOOK = (
    *("observability.view_alert", "observability.view_silence", "observability.view_objective"),
    *("observability.view_evaluator", "observability.view_evaluatorversion", "observability.view_judging"),
    *("observability.view_judgingbudget", "observability.view_spendbudget"),
)
CHANGE = (
    *("observability.change_evaluator", "observability.change_spendbudget", "observability.change_objective"),
    "observability.handle_alert",
)
GROUPS = {"editor": LOOK, "releaser": (*LOOK, *CHANGE), "operator": (*LOOK, *CHANGE)}
OWN = {"handle_alert": ("alert", "Can acknowledge and silence alerts")}
"""Model and name of those that are not Django's own."""


def give_rights(apps: Any, schema_editor: Any) -> None:
    """To groups that nobody has deleted. As in 0008, permissions are made here as they will be."""
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        group.permissions.add(*(_permission(apps, written.split(".")[1]) for written in GROUPS[group.name]))


def _permission(apps: Any, codename: str) -> Any:
    model, name = OWN.get(codename) or _djangos_own(apps, codename)
    types, permissions = apps.get_model("contenttypes", "ContentType"), apps.get_model("auth", "Permission")
    content_type, _ = types.objects.get_or_create(app_label="observability", model=model)
    permission, _ = permissions.objects.get_or_create(
        content_type=content_type, codename=codename, defaults={"name": name}
    )
    return permission


def _djangos_own(apps: Any, codename: str) -> tuple[str, str]:
    action, model = codename.split("_")
    return model, f"Can {action} {apps.get_model('observability', model)._meta.verbose_name}"


class Migration(migrations.Migration):
    dependencies = [
        ("rollout", "0013_canary_spend_cap"),
        ("observability", "0022_objectives"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(give_rights, migrations.RunPython.noop)]

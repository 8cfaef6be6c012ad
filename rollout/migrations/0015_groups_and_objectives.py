"""The groups may look at objectives, and who releases may change them."""

from typing import Any

from django.db import migrations

LOOK, CHANGE = "observability.view_objective", "observability.change_objective"
GROUPS = {"editor": (LOOK,), "releaser": (LOOK, CHANGE), "operator": (LOOK, CHANGE)}


def add_to_groups(apps: Any, schema_editor: Any) -> None:
    """Permissions are made only after all migrations, so these are made here as they will be. A group that somebody
    has deleted stays deleted."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="observability", model="objective"
    )
    for name, permissions in GROUPS.items():
        for group in apps.get_model("auth", "Group").objects.filter(name=name):
            group.permissions.add(*(_permission(apps, content_type, permission) for permission in permissions))


def _permission(apps: Any, content_type: Any, written: str) -> Any:
    codename = written.rpartition(".")[2]
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type,
        codename=codename,
        defaults={"name": f"Can {codename.partition('_')[0]} objective"},
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [
        ("rollout", "0014_rights_to_budgets"),
        ("observability", "0021_objectives"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(add_to_groups, migrations.RunPython.noop)]

"""The groups' rights to soft budgets: all three look at them, the operator changes them."""

from typing import Any

from django.db import migrations

GROUPS = {
    "editor": ("view_spendbudget",),
    "releaser": ("view_spendbudget",),
    "operator": ("view_spendbudget", "change_spendbudget"),
}


def give_rights(apps: Any, schema_editor: Any) -> None:
    """Of groups that somebody has deleted, to nobody. As 0008, permissions are made here as they will be."""
    types, permissions = (
        apps.get_model("contenttypes", "ContentType").objects,
        apps.get_model("auth", "Permission").objects,
    )
    of_budgets, _ = types.get_or_create(app_label="observability", model="spendbudget")
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        for codename in GROUPS[group.name]:
            named = {"name": f"Can {codename.partition('_')[0]} spend budget"}
            found, _ = permissions.get_or_create(content_type=of_budgets, codename=codename, defaults=named)
            group.permissions.add(found)


class Migration(migrations.Migration):
    dependencies = [
        ("rollout", "0013_canary_spend_cap"),
        ("observability", "0020_spending"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(give_rights, migrations.RunPython.noop)]

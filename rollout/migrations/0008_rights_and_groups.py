"""The rights to rollouts apart from each other, and three groups to begin with; who has others loses nothing."""

from typing import Any

from django.db import migrations

LOOK = (
    *("registry.view_prompt", "registry.view_promptversion", "registry.view_draft", "registry.view_label"),
    *("registry.view_labelmove", "rollout.view_rollout", "rollout.view_transition", "rollout.view_verdict"),
    *("observability.view_call", "observability.view_score", "observability.view_priceoverride"),
)
EDIT = (*("registry.add_prompt", "registry.change_draft", "registry.add_promptversion", "registry.change_label"),)
RELEASE = (
    *("registry.change_prompt", "registry.move_production"),
    *("rollout.start_rollout", "rollout.steer_rollout", "rollout.promote_rollout"),
)
OPERATE = (
    *("rollout.steer_rollout", "registry.view_apikey", "registry.add_apikey", "registry.change_apikey"),
    *("rollout.view_webhookendpoint", "rollout.add_webhookendpoint", "rollout.change_webhookendpoint"),
    *("rollout.view_delivery", "rollout.view_deliveryattempt", "rollout.change_delivery"),
    *("observability.view_calltext", "observability.add_priceoverride", "observability.delete_priceoverride"),
)
GROUPS = {
    "editor": (*LOOK, *EDIT),
    "releaser": (*LOOK, *EDIT, *RELEASE),
    "operator": (*LOOK, *OPERATE),
}
OWN = {
    "registry.move_production": ("label", "Can move the label production"),
    "rollout.start_rollout": ("rollout", "Can start a rollout"),
    "rollout.steer_rollout": ("rollout", "Can pause, resume, roll back and cancel a rollout"),
    "rollout.promote_rollout": ("rollout", "Can promote a rollout by hand"),
}
"""Model and name of those that are not Django's own."""


def make_groups(apps: Any, schema_editor: Any) -> None:
    """Permissions are made only after all migrations, so those that are not there yet are made here as they will be."""
    for name, permissions in GROUPS.items():
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        group.permissions.add(*(_permission(apps, permission) for permission in permissions))


def _permission(apps: Any, written: str) -> Any:
    app, codename = written.split(".")
    model, name = OWN.get(written) or _djangos_own(apps, app, codename)
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(app_label=app, model=model)
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename=codename, defaults={"name": name}
    )
    return permission


def _djangos_own(apps: Any, app: str, codename: str) -> tuple[str, str]:
    action, model = codename.split("_")
    return model, f"Can {action} {apps.get_model(app, model)._meta.verbose_name}"


class Migration(migrations.Migration):
    dependencies = [
        ("rollout", "0007_heartbeats"),
        ("registry", "0003_keys_reach_and_expire"),
        ("observability", "0011_roll_up_every_minute"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="rollout",
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("start_rollout", "Can start a rollout"),
                    ("steer_rollout", "Can pause, resume, roll back and cancel a rollout"),
                    ("promote_rollout", "Can promote a rollout by hand"),
                ],
            },
        ),
        migrations.RunPython(make_groups, migrations.RunPython.noop),
    ]

"""The schedule that has a worker roll up the hours that are over."""

from django.db import migrations

NAME = "roll up hours"


def schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.create(
        name=NAME, func="observability.rollups.roll_up", schedule_type="I", minutes=1
    )


def unschedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("observability", "0010_rollups"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [migrations.RunPython(schedule, unschedule)]

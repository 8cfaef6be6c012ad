"""The schedule by which the worker deletes what is older than it is kept."""

from django.db import migrations

NAME = "prune"


def schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.create(
        name=NAME, func="observability.retention.sweep", schedule_type="H"
    )


def unschedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("observability", "0008_texts"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [migrations.RunPython(schedule, unschedule)]

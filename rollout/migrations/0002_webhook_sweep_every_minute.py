"""The schedule that sends webhooks which nothing else woke a worker for."""

from django.db import migrations

NAME = "webhook sweep"


def schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.create(
        name=NAME, func="rollout.webhooks.sender.sweep", schedule_type="I", minutes=1
    )


def unschedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("rollout", "0001_initial"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [migrations.RunPython(schedule, unschedule)]

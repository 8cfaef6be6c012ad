"""The schedules that have a worker write the series and watch it, each minute."""

from django.db import migrations

FUNCTIONS = {"write the series": "observability.watching.series.write", "watch": "observability.watching.watch"}


def schedule(apps, schema_editor):
    for name, func in FUNCTIONS.items():
        apps.get_model("django_q", "Schedule").objects.create(name=name, func=func, schedule_type="I", minutes=1)


def unschedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(name__in=FUNCTIONS).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("observability", "0017_series"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [migrations.RunPython(schedule, unschedule)]

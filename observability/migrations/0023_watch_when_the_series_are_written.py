"""One schedule that writes the series and then watches them: at once in two tasks, the checks saw the minute before."""

from django.db import migrations


def together(apps, schema_editor):
    schedules = apps.get_model("django_q", "Schedule").objects
    schedules.filter(name="write the series").delete()
    schedules.filter(name="watch").update(func="observability.watching.write_and_watch")


def apart(apps, schema_editor):
    schedules = apps.get_model("django_q", "Schedule").objects
    func = "observability.watching.series.write"
    schedules.create(name="write the series", func=func, schedule_type="I", minutes=1)
    schedules.filter(name="watch").update(func="observability.watching.watch")


class Migration(migrations.Migration):
    dependencies = [
        ("observability", "0022_objectives"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [migrations.RunPython(together, apart)]

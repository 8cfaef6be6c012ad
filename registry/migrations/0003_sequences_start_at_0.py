from django.db import migrations


def start(apps, schema_editor):
    sequence = apps.get_model("registry", "Sequence")
    for name in ("event", "generation"):
        sequence.objects.create(name=name, value=0)


class Migration(migrations.Migration):
    dependencies = [("registry", "0002_version_is_immutable")]

    operations = [migrations.RunPython(start, migrations.RunPython.noop)]

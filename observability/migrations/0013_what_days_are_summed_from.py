"""A day tells which hours it is the sum of, so that it is seen when a worker of the release before replaces one."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("observability", "0012_spans_of_versions")]

    operations = [
        migrations.AddField(
            model_name="rolledday",
            name="summed",
            field=models.PositiveBigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="rolledday",
            name="ids",
            field=models.PositiveBigIntegerField(null=True),
        ),
    ]

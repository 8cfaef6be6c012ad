"""A rollback names every guilty metric, and their names may be long."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rollout", "0004_hold_while_looks_fail")]

    operations = [migrations.AlterField("transition", "cause", models.TextField())]

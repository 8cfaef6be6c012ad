"""A page that lists rollouts shows how the evidence has gone without reading every verdict of each."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rollout", "0009_outlooks")]

    operations = [
        migrations.AddField(
            model_name="rollout",
            name="course",
            field=models.JSONField(db_default=[], default=list),
        ),
    ]

"""What the evaluator foresees of a rollout is kept beside it: a web process that shows it loads no statistics."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rollout", "0008_rights_and_groups")]

    operations = [
        migrations.CreateModel(
            name="Outlook",
            fields=[
                (
                    "rollout",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="outlook",
                        serialize=False,
                        to="rollout.rollout",
                    ),
                ),
                ("foreseen_at", models.DateTimeField()),
                ("canary_calls", models.PositiveBigIntegerField(null=True)),
                ("metric", models.CharField(max_length=100)),
                ("calls_per_s", models.FloatField()),
            ],
        ),
    ]

"""A rollout is held when its canary has cost what it may and the plan leaves the rollback to a person."""

from django.db import migrations, models

REASONS = [
    ("sample_ratio", "Sample Ratio"),
    ("inconclusive", "Inconclusive"),
    ("harm_found", "Harm Found"),
    ("proven_safe", "Proven Safe"),
    ("evaluation_failed", "Evaluation Failed"),
    ("spend_cap", "Spend Cap"),
]


class Migration(migrations.Migration):
    dependencies = [("rollout", "0012_dead_deliveries")]

    operations = [
        migrations.AlterField(
            "rollout",
            "hold_before_failure",
            models.CharField(blank=True, choices=REASONS, db_default="", default="", max_length=20),
        ),
        migrations.AlterField("rollout", "hold_reason", models.CharField(blank=True, choices=REASONS, max_length=20)),
    ]

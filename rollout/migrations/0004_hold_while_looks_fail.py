"""A rollout is held while looks at it fail, and waits afterwards for what it waited for before."""

from django.db import migrations, models

REASONS = [
    ("sample_ratio", "Sample Ratio"),
    ("inconclusive", "Inconclusive"),
    ("harm_found", "Harm Found"),
    ("proven_safe", "Proven Safe"),
    ("evaluation_failed", "Evaluation Failed"),
]


class Migration(migrations.Migration):
    dependencies = [("rollout", "0003_all_kinds_of_metrics")]

    operations = [
        migrations.AddField(
            "rollout",
            "hold_before_failure",
            models.CharField(blank=True, choices=REASONS, db_default="", default="", max_length=20),
        ),
        migrations.AlterField("rollout", "hold_reason", models.CharField(blank=True, choices=REASONS, max_length=20)),
    ]

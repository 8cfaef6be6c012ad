"""Two secrets during a rotation, a format, health of endpoints; a sender of its own instead of the schedule.

The new columns have defaults in the database, so that the release before can go on adding endpoints.
"""

from django.db import migrations, models

SWEEP = "webhook sweep"


def unschedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(name=SWEEP).delete()


def schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.create(
        name=SWEEP, func="rollout.webhooks.sender.sweep", schedule_type="I", minutes=1
    )


class Migration(migrations.Migration):
    dependencies = [("rollout", "0005_causes_of_any_length")]

    operations = [
        migrations.RunPython(unschedule, schedule),
        migrations.AddField(
            "webhookendpoint",
            "format",
            models.CharField(
                choices=[("standard", "Standard"), ("slack", "Slack")],
                db_default="standard",
                default="standard",
                max_length=10,
            ),
        ),
        migrations.AddField("webhookendpoint", "previous_secrets", models.JSONField(db_default=[], default=list)),
        migrations.AddField("webhookendpoint", "last_success_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("webhookendpoint", "last_failure_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("webhookendpoint", "failing_since", models.DateTimeField(blank=True, null=True)),
        migrations.AddField(
            "webhookendpoint", "consecutive_failures", models.PositiveIntegerField(db_default=0, default=0)
        ),
        migrations.AddConstraint(
            "webhookendpoint",
            models.CheckConstraint(
                condition=models.Q(("format__in", ["standard", "slack"])), name="webhook_format_is_known"
            ),
        ),
        migrations.RemoveIndex("delivery", "deliveries_due"),
        migrations.AddIndex(
            "delivery",
            models.Index(
                condition=models.Q(("status", "pending")),
                fields=["endpoint", "next_attempt_at", "event"],
                name="deliveries_due_by_endpoint",
            ),
        ),
        migrations.AddIndex("delivery", models.Index(fields=["endpoint", "status", "id"], name="deliveries_by_status")),
    ]

"""Evaluators may run on other hosts than the web servers, which tell whether any does."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rollout", "0006_webhook_rotation_format_and_health")]

    operations = [
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                ("host", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
            ],
            options={"ordering": ["host"]},
        ),
    ]

"""Evaluators may run on other hosts than the web servers, which tell whether any does."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rollout", "0005_causes_of_any_length")]

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

"""The log is read by prompt and by type, and the events of a rollout by their time, among all that is kept."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("registry", "0005_idempotent_answers")]

    operations = [
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["prompt", "sequence"], name="events_by_prompt"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["type", "sequence"], name="events_by_type"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["prompt", "occurred_at"], name="events_by_prompt_and_time"),
        ),
    ]

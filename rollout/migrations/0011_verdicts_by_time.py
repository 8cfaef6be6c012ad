"""The page of a rollout finds the verdict that was the newest at a time, among the tens of thousands of a month."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rollout", "0010_course_of_the_evidence")]

    operations = [
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(fields=["rollout", "found_at"], name="verdicts_by_time"),
        ),
    ]

"""Of an alert is known when its cause came back too soon for another one, and how grave its last notice called it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("observability", "0020_spending")]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="notified_severity",
            field=models.CharField(blank=True, db_default="", default="", max_length=8),
        ),
        migrations.AddField(
            model_name="alert",
            name="reopened_at",
            field=models.DateTimeField(null=True),
        ),
    ]

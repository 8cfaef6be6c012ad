"""The status page counts the dead deliveries among all that are kept, every few seconds."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("rollout", "0011_verdicts_by_time")]

    operations = [
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(fields=["id"], name="deliveries_dead", condition=Q(status="dead")),
        ),
    ]

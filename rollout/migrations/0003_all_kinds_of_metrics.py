"""Baselines become observations by bin, and what was frozen of a running metric is frozen again from them.

Its e-processes are recomputed from the stored batches at the next look.
"""

from django.db import migrations, models


def spread_baselines(apps, schema_editor):
    for metric in apps.get_model("rollout", "Metric").objects.all():
        n, total = metric.baseline_n, metric.baseline_total
        if metric.declared["kind"] == "rate":
            metric.baseline = {0: n - round(total), 1000: round(total)}
        else:
            metric.baseline = {round(1000 * total / n): n} if n else {}
        metric.measure, metric.frozen, metric.state = metric.name, None, None
        metric.save(update_fields=["baseline", "measure", "frozen", "state"])


class Migration(migrations.Migration):
    dependencies = [("rollout", "0002_webhook_sweep_every_minute")]

    operations = [
        migrations.AddField("batch", "design_effect", models.FloatField(default=1)),
        migrations.AddField("metric", "baseline", models.JSONField(default=dict)),
        migrations.AddField("metric", "measure", models.CharField(default="", max_length=100), preserve_default=False),
        migrations.AddField("rollout", "looked_at", models.DateTimeField(null=True)),
        migrations.RunPython(spread_baselines, migrations.RunPython.noop),
        migrations.RemoveField("metric", "baseline_n"),
        migrations.RemoveField("metric", "baseline_total"),
    ]

"""Hours of versions added up to quarters of days and days, from which weeks and months are read."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("observability", "0011_roll_up_every_minute"),
        ("registry", "0005_idempotent_answers"),
    ]

    operations = [
        migrations.CreateModel(
            name="RolledDay",
            fields=[
                ("day", models.DateField(primary_key=True, serialize=False)),
                ("until", models.DateTimeField()),
            ],
        ),
        migrations.AlterField(
            model_name="versionhour",
            name="version",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.promptversion",
            ),
        ),
        migrations.CreateModel(
            name="VersionSpan",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("prompt_name", models.CharField(max_length=200, null=True)),
                (
                    "version",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.promptversion",
                    ),
                ),
                ("version_text", models.CharField(max_length=200, null=True)),
                ("label", models.CharField(max_length=200, null=True)),
                ("environment", models.CharField(max_length=200, null=True)),
                ("calls", models.PositiveBigIntegerField()),
                ("attempts", models.PositiveBigIntegerField()),
                ("input_tokens", models.PositiveBigIntegerField()),
                ("output_tokens", models.PositiveBigIntegerField()),
                ("cached_tokens", models.PositiveBigIntegerField()),
                ("reasoning_tokens", models.PositiveBigIntegerField()),
                ("cost_usd", models.DecimalField(decimal_places=12, max_digits=24)),
                ("priced", models.PositiveBigIntegerField()),
                ("timed_tokens", models.PositiveBigIntegerField()),
                ("timed_ms", models.FloatField()),
                ("merged", models.PositiveBigIntegerField()),
                ("ttft_is_total", models.PositiveBigIntegerField()),
                ("errors", models.JSONField()),
                ("scores", models.JSONField()),
                ("ttft", models.JSONField()),
                ("latency", models.JSONField()),
                ("inter_token", models.JSONField()),
                ("starts_at", models.DateTimeField()),
                ("hours", models.PositiveSmallIntegerField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["starts_at"], name="version_spans_by_start"),
                    models.Index(fields=["prompt_name", "hours", "starts_at"], name="version_spans_by_prompt"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("hours__in", (6, 24))), name="a_span_is_a_quarter_of_a_day_or_a_day"
                    )
                ],
            },
        ),
    ]

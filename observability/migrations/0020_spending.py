"""What arms of rollouts cost, what whole days cost, soft budgets, and tokens from the providers' caches."""

from decimal import Decimal

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("observability", "0019_metrics_of_the_series"),
    ]

    operations = [
        migrations.AddField(
            model_name="exposurehour",
            name="told_cached_tokens",
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="exposurehour",
            name="told_tokens",
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="figuresbucket",
            name="told_cached_tokens",
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="figuresbucket",
            name="told_tokens",
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="rolledday",
            name="spending",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="versionhour",
            name="told_cached_tokens",
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="versionhour",
            name="told_tokens",
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="versionspan",
            name="told_cached_tokens",
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="versionspan",
            name="told_tokens",
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.CreateModel(
            name="ArmCost",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("rollout", models.CharField(max_length=30)),
                ("arm", models.CharField(max_length=7)),
                ("version_id", models.BigIntegerField()),
                ("shard", models.PositiveSmallIntegerField()),
                ("calls", models.PositiveBigIntegerField()),
                ("priced", models.PositiveBigIntegerField()),
                ("picodollars", models.PositiveBigIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("rollout", "arm", "version_id", "shard"), name="one_cost_per_arm_and_shard"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("arm__in", ("control", "canary"))), name="costs_are_of_control_or_canary"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SpendBudget",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "dimension",
                    models.CharField(
                        choices=[
                            ("user", "User"),
                            ("feature", "Feature"),
                            ("environment", "Environment"),
                            ("prompt", "Prompt"),
                        ],
                        max_length=11,
                    ),
                ),
                ("value", models.CharField(blank=True, help_text="Empty for each value by itself", max_length=200)),
                ("period", models.CharField(choices=[("daily", "daily"), ("monthly", "monthly")], max_length=7)),
                (
                    "usd",
                    models.DecimalField(
                        decimal_places=6, help_text="USD that may be spent in each day or month", max_digits=20
                    ),
                ),
                ("active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(editable=False)),
                ("created_by", models.CharField(editable=False, max_length=200)),
            ],
            options={
                "ordering": ["-id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("dimension", "value", "period"), name="one_spend_budget_per_value_and_period"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("dimension__in", ("user", "feature", "environment", "prompt"))),
                        name="a_spend_budget_is_of_a_known_dimension",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("period__in", ["daily", "monthly"])),
                        name="a_spend_budget_is_daily_or_monthly",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("usd__gte", Decimal("0.01")), ("usd__lte", Decimal(1000000000))),
                        name="a_spend_budget_is_over_0_and_under_all_bounds",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SpendDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                (
                    "dimension",
                    models.CharField(
                        choices=[
                            ("user", "User"),
                            ("feature", "Feature"),
                            ("environment", "Environment"),
                            ("prompt", "Prompt"),
                            ("model", "Model"),
                        ],
                        max_length=11,
                    ),
                ),
                ("value", models.CharField(max_length=200, null=True)),
                ("cost_usd", models.DecimalField(decimal_places=12, max_digits=24)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("dimension", "day", "value"), name="one_spending_per_day_and_value"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("dimension__in", ["user", "feature", "environment", "prompt", "model"])),
                        name="spending_of_days_is_by_a_known_dimension",
                    ),
                ],
            },
        ),
    ]

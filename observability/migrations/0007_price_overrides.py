from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("observability", "0006_scores_of_any_client"),
    ]

    operations = [
        migrations.CreateModel(
            name="PriceOverride",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("provider", models.CharField(blank=True, help_text="As calls tell it; empty for any", max_length=200)),
                (
                    "pattern",
                    models.CharField(help_text="Of the model's name: * any text, ? one character", max_length=200),
                ),
                ("effective_from", models.DateTimeField(help_text="Counts for calls that start then or later")),
                ("input", models.DecimalField(decimal_places=12, help_text="USD for a million tokens", max_digits=18)),
                (
                    "cached_input",
                    models.DecimalField(
                        blank=True,
                        decimal_places=12,
                        help_text="Read from a cache; empty: as input",
                        max_digits=18,
                        null=True,
                    ),
                ),
                (
                    "cache_write",
                    models.DecimalField(
                        blank=True,
                        decimal_places=12,
                        help_text="Written to a cache; empty: as input",
                        max_digits=18,
                        null=True,
                    ),
                ),
                ("output", models.DecimalField(decimal_places=12, help_text="USD for a million tokens", max_digits=18)),
                (
                    "call",
                    models.DecimalField(
                        decimal_places=12, default=0, help_text="USD for each call beside its tokens", max_digits=18
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField(editable=False)),
            ],
            options={
                "ordering": ["-effective_from", "-id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("provider", "pattern", "effective_from"), name="one_price_per_provider_pattern_and_time"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("pattern", ""), _negated=True), name="a_price_names_its_models"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("input__isnull", True),
                            models.Q(("input__gte", 0), ("input__lte", 100000)),
                            _connector="OR",
                        ),
                        name="price_of_input_is_between_0_and_most",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("cached_input__isnull", True),
                            models.Q(("cached_input__gte", 0), ("cached_input__lte", 100000)),
                            _connector="OR",
                        ),
                        name="price_of_cached_input_is_between_0_and_most",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("cache_write__isnull", True),
                            models.Q(("cache_write__gte", 0), ("cache_write__lte", 100000)),
                            _connector="OR",
                        ),
                        name="price_of_cache_write_is_between_0_and_most",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("output__isnull", True),
                            models.Q(("output__gte", 0), ("output__lte", 100000)),
                            _connector="OR",
                        ),
                        name="price_of_output_is_between_0_and_most",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("call__isnull", True), models.Q(("call__gte", 0), ("call__lte", 100000)), _connector="OR"
                        ),
                        name="price_of_call_is_between_0_and_most",
                    ),
                ],
            },
        ),
    ]

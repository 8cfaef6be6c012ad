from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("observability", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="call",
            name="cost_usd",
            field=models.DecimalField(decimal_places=12, max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name="call",
            name="cost_source",
            field=models.CharField(
                choices=[("reported", "Reported"), ("genai-prices", "Genai Prices")], max_length=12, null=True
            ),
        ),
        migrations.AddField(
            model_name="call",
            name="output_valid",
            field=models.BooleanField(null=True),
        ),
        migrations.AddConstraint(
            model_name="call",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("cost_source__isnull", True), ("cost_usd__isnull", True)),
                    models.Q(
                        ("cost_source__in", ["reported", "genai-prices"]),
                        ("cost_source__isnull", False),
                        ("cost_usd__gte", 0),
                        ("cost_usd__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="a_cost_tells_its_source",
            ),
        ),
    ]

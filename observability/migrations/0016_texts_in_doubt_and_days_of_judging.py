"""What is kept of calls that may be chosen to be judged, and what was judged of a prompt on each day."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("observability", "0015_evaluator_version_is_immutable"),
        ("registry", "0006_events_of_a_prompt_or_type"),
    ]

    operations = [
        migrations.CreateModel(
            name="JudgingDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("calls", models.PositiveIntegerField(default=0)),
                ("usd", models.DecimalField(decimal_places=12, default=0, max_digits=20)),
            ],
        ),
        migrations.AddField(
            model_name="evaluationtext",
            name="in_doubt",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="retrievedtext",
            name="in_doubt",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddIndex(
            model_name="evaluationtext",
            index=models.Index(
                condition=models.Q(("in_doubt", True)), fields=["stored_at"], name="evaluation_texts_in_doubt"
            ),
        ),
        migrations.AddIndex(
            model_name="retrievedtext",
            index=models.Index(
                condition=models.Q(("in_doubt", True)), fields=["stored_at"], name="retrieved_texts_in_doubt"
            ),
        ),
        migrations.AddField(
            model_name="judgingday",
            name="prompt",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="registry.prompt"
            ),
        ),
        migrations.AddConstraint(
            model_name="judgingday",
            constraint=models.UniqueConstraint(fields=("prompt", "day"), name="a_day_of_judging_is_counted_once"),
        ),
    ]

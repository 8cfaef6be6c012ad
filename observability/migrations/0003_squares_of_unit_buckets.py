from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("observability", "0002_cost_and_output_validity"),
    ]

    operations = [
        migrations.AddField(
            model_name="unitbucket",
            name="squares",
            field=models.PositiveBigIntegerField(db_default=0),
        ),
    ]

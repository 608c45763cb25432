from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0028_run_numbers"),
    ]

    operations = [
        migrations.AddField(
            model_name="subscriber",
            name="dataschemas",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, models.JSONField()),
                default=dict,
            ),
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0006_queue_by_run_time"),
    ]

    operations = [
        # Nullable and without a default: no database writes the table anew.
        migrations.AddField(
            model_name="eventrecord",
            name="is_webhook_id_derived",
            field=models.BooleanField(editable=False, null=True),
        ),
    ]

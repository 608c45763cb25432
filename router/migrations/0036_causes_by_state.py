from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0035_notes"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="failedtask",
            name="failed_task_by_cause",
        ),
        migrations.AddIndex(
            model_name="failedtask",
            index=models.Index(
                condition=models.Q(("group__isnull", False)),
                fields=["group", "state", "id"],
                name="failed_task_of_cause",
            ),
        ),
    ]

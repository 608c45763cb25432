from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0034_substitutes"),
    ]

    operations = [
        migrations.AddField(
            model_name="failedtask",
            name="assignee",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=150
            ),
        ),
        migrations.AddField(
            model_name="failedtask",
            name="notes",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.AddField(
            model_name="failedtaskgroup",
            name="assignee",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=150
            ),
        ),
        migrations.AddField(
            model_name="failedtaskgroup",
            name="notes",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0039_portal_links"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="failedtask",
            index=models.Index(
                models.Case(
                    models.When(state="open", then=models.Value(0)),
                    default=models.Value(1),
                ),
                models.OrderBy(models.F("id"), descending=True),
                name="failed_task_listed",
            ),
        ),
        migrations.AddIndex(
            model_name="failedtask",
            index=models.Index(
                models.F("subscriber"),
                models.Case(
                    models.When(state="open", then=models.Value(0)),
                    default=models.Value(1),
                ),
                models.OrderBy(models.F("id"), descending=True),
                name="failed_task_listed_of",
            ),
        ),
    ]

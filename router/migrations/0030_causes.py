import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0029_dataschemas"),
    ]

    operations = [
        migrations.CreateModel(
            name="FailedTaskGroup",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("cause", models.CharField(editable=False, max_length=64)),
                (
                    "subscriber",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="router.subscriber",
                    ),
                ),
            ],
            options={
                "verbose_name": "cause",
            },
        ),
        migrations.AddField(
            model_name="failedtask",
            name="group",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="failed_tasks",
                to="router.failedtaskgroup",
            ),
        ),
        migrations.AddIndex(
            model_name="failedtask",
            index=models.Index(
                condition=models.Q(("group__isnull", False), ("state", "open")),
                fields=["group", "id"],
                name="failed_task_by_cause",
            ),
        ),
        migrations.AddIndex(
            model_name="failedtask",
            index=models.Index(
                condition=models.Q(("group__isnull", True), ("state", "open")),
                fields=["id"],
                name="failed_task_ungrouped",
            ),
        ),
        migrations.AddConstraint(
            model_name="failedtaskgroup",
            constraint=models.UniqueConstraint(
                fields=("subscriber", "cause"), name="failed_task_group_once"
            ),
        ),
    ]

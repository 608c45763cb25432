import django.db.models.deletion
from django.db import migrations, models

import router.models.clock


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0031_backlog_samples"),
    ]

    operations = [
        migrations.CreateModel(
            name="RampedRetry",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("since", models.DateTimeField(null=True)),
                ("up_to", models.BigIntegerField()),
                ("step", models.PositiveIntegerField(default=0)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("active", "Active"),
                            ("complete", "Complete"),
                            ("stopped", "Stopped"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="active",
                        max_length=9,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=1000)),
                ("requested_by", models.CharField(max_length=200)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=router.models.clock.Clock(), editable=False
                    ),
                ),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "group",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="ramped_retries",
                        to="router.failedtaskgroup",
                    ),
                ),
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
                "verbose_name_plural": "ramped retries",
            },
        ),
        migrations.AddField(
            model_name="failedtask",
            name="ramped_retry",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="failed_tasks",
                to="router.rampedretry",
            ),
        ),
        migrations.AddIndex(
            model_name="failedtask",
            index=models.Index(
                condition=models.Q(("ramped_retry__isnull", False)),
                fields=["ramped_retry"],
                name="failed_task_ramped",
            ),
        ),
        migrations.AddConstraint(
            model_name="rampedretry",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "active")),
                fields=("group",),
                name="ramped_retry_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="rampedretry",
            constraint=models.UniqueConstraint(
                condition=models.Q(("group__isnull", True), ("state", "active")),
                fields=("subscriber",),
                name="ramped_retry_of_all_once",
            ),
        ),
    ]

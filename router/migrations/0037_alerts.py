import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0036_causes_by_state"),
    ]

    operations = [
        migrations.AddField(
            model_name="subscriber",
            name="alert_rules",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, models.JSONField()),
                default=dict,
            ),
        ),
        migrations.CreateModel(
            name="Alert",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "rule",
                    models.CharField(
                        choices=[
                            ("unreachable", "Unreachable"),
                            ("backlog_age", "Old backlog"),
                            ("failure_rate", "Failing attempts"),
                            ("open_failed_tasks", "Open failed tasks"),
                        ],
                        max_length=17,
                    ),
                ),
                ("since", models.DateTimeField()),
                ("opened_at", models.DateTimeField(null=True)),
                ("calm_since", models.DateTimeField(null=True)),
                ("value", models.FloatField(default=0)),
                ("limit", models.FloatField(default=0)),
                (
                    "subscriber",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="alerts",
                        to="router.subscriber",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("subscriber", "rule"), name="alert_once"
                    )
                ],
            },
        ),
    ]

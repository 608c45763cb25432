"""What bridges take in: their signs of life, and what is no valid event."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from router.models.clock import Clock


class Migration(migrations.Migration):
    dependencies = [("router", "0020_foreign_routers")]

    operations = [
        migrations.AddField(
            model_name="heartbeat",
            name="details",
            field=models.JSONField(
                db_default=models.Value({}, models.JSONField()), default=dict
            ),
        ),
        migrations.AlterField(
            model_name="heartbeat",
            name="kind",
            field=models.CharField(
                choices=[
                    ("dispatcher", "Dispatcher"),
                    ("worker", "Worker"),
                    ("bridge", "Bridge"),
                ],
                max_length=16,
            ),
        ),
        migrations.CreateModel(
            name="IngressFailedTask",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("bridge", models.CharField(max_length=63)),
                ("digest", models.CharField(editable=False, max_length=64)),
                ("message_id", models.CharField(blank=True, max_length=255)),
                ("name", models.CharField(blank=True, max_length=255)),
                ("content_type", models.CharField(blank=True, max_length=255)),
                ("attributes", models.JSONField(blank=True, default=dict)),
                ("body", models.BinaryField()),
                ("problem", models.TextField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("published", "Published"),
                            ("discarded", "Discarded"),
                        ],
                        default="open",
                        max_length=16,
                    ),
                ),
                (
                    "opened_at",
                    models.DateTimeField(db_default=Clock(), editable=False),
                ),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
                ("settled_by", models.CharField(blank=True, max_length=200)),
                ("settled_note", models.TextField(blank=True)),
                (
                    "event",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="router.eventrecord",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "open")),
                        fields=["id"],
                        name="ingress_failed_task_open",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("bridge", "digest"), name="ingress_failed_task_once"
                    )
                ],
            },
        ),
    ]

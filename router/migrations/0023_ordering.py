"""The order of a key: what stands behind another delivery is held, without a time."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0022_retention"),
    ]

    operations = [
        migrations.AddField(
            model_name="subscriber",
            name="on_dead",
            field=models.CharField(
                choices=[
                    ("hold", "Hold the later events of its key"),
                    ("skip", "Go on with the next event of its key"),
                ],
                db_default="hold",
                default="hold",
                max_length=4,
            ),
        ),
        migrations.AddField(
            model_name="subscriber",
            name="ordering",
            field=models.CharField(
                choices=[
                    ("none", "In any order"),
                    ("key", "In the order of their key"),
                ],
                db_default="none",
                default="none",
                max_length=4,
            ),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="due_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(
                    ("ordering_key__gt", ""),
                    models.Q(
                        ("state", "PENDING"),
                        ("state", "LEASED"),
                        ("state", "DEAD"),
                        _connector="OR",
                    ),
                ),
                fields=["subscriber", "ordering_key", "due_at", "id"],
                name="delivery_in_line",
            ),
        ),
    ]

"""How far the log was pruned; the failed tasks of a delivery are deleted together."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("router", "0021_bridges")]

    operations = [
        *(
            migrations.AddField(
                model_name="loghead",
                name=name,
                field=models.BigIntegerField(db_default=0, default=0),
            )
            for name in ("pruned_to", "pruned_number")
        ),
        migrations.AlterField(
            model_name="failedtask",
            name="previous",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=models.DO_NOTHING,
                related_name="later",
                to="router.failedtask",
            ),
        ),
    ]

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0033_imports"),
    ]

    operations = [
        migrations.AddField(
            model_name="failedtask",
            name="successor",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="predecessors",
                to="router.delivery",
            ),
        ),
        migrations.AlterField(
            model_name="failedtask",
            name="state",
            field=models.CharField(
                choices=[
                    ("open", "Open"),
                    ("retried", "Retried"),
                    ("discarded", "Discarded"),
                    ("redirected", "Redirected"),
                ],
                default="open",
                max_length=16,
            ),
        ),
        migrations.AddIndex(
            model_name="failedtask",
            index=models.Index(
                condition=models.Q(("successor__isnull", False)),
                fields=["successor"],
                name="failed_task_replaced",
            ),
        ),
    ]

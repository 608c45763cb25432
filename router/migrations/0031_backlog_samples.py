from django.db import migrations, models


class Migration(migrations.Migration):
    """No change in the database: the rollups get a further measure."""

    dependencies = [("router", "0030_causes")]

    operations = [
        migrations.AlterField(
            model_name="rollup",
            name="measure",
            field=models.CharField(
                choices=[
                    ("events", "Events"),
                    ("attempts", "Attempts"),
                    ("publish_to_ack", "Publish To Ack"),
                    ("run_time", "Run Time"),
                    ("backlog", "Backlog"),
                ],
                max_length=16,
            ),
        ),
    ]

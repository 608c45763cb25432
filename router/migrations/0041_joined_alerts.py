from django.db import migrations, models

RULES = [
    ("unreachable", "Unreachable"),
    ("backlog_age", "Old backlog"),
    ("failure_rate", "Failing attempts"),
    ("open_failed_tasks", "Open failed tasks"),
]


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0040_failed_tasks_listed"),
    ]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="joined_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="alert",
            name="joined_rule",
            field=models.CharField(
                choices=RULES, db_default="", default="", max_length=17
            ),
        ),
    ]

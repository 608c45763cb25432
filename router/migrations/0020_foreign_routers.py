"""Where subscribers have their events published: a target on a foreign router."""

from __future__ import annotations

from django.db import migrations, models

from router.models.encrypted import SealedTextField

TRANSPORTS = [
    ("handler", "In-process handler"),
    ("webhook", "Webhook"),
    ("pull", "Pull"),
    ("kafka", "Kafka"),
    ("sqs", "Amazon SQS"),
    ("sns", "Amazon SNS"),
    ("pubsub", "Google Pub/Sub"),
    ("amqp", "RabbitMQ"),
]


class Migration(migrations.Migration):
    dependencies = [("router", "0019_secret_urls")]

    operations = [
        migrations.AddField(
            model_name="subscriber",
            name="target",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, models.JSONField()),
                default=dict,
            ),
        ),
        migrations.AddField(
            model_name="subscriber",
            name="secret_target",
            field=SealedTextField(blank=True, db_default="", default=None),
        ),
        migrations.AlterField(
            model_name="subscriber",
            name="transport",
            field=models.CharField(
                choices=TRANSPORTS, default="handler", max_length=16
            ),
        ),
    ]

"""Turns, cursors, periods and acknowledgements; which subscribers read the log by one.

No subscriber is served in the stream by this migration alone: that begins under the
head's lock, once no process of the release before is alive. Taken back, what lies above
a cursor gets deliveries again, as the release before makes them.

The head's table gets another name. The release before knows no cursor: its dispatcher
would give deliveries of what a cursor reads, and delete what is owed above one. Under
the old name stands a view, which it can read and lock, but never write to.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC
from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.utils import timezone

from router.contract.dialects import compiled

#: Events that one step looks at.
STEP = 5000
#: What decides whether an event is owed.
OF_SUBSCRIBER = (
    "id", "transport", "events", "filter", "allowed_types", "allowed_sources",
    "ordering",
)  # fmt: skip
OF_EVENT = (
    "number", "position", "event_id", "source", "type", "subject", "time", "time_text",
    "dataschema", "partitionkey", "traceparent", "extensions", "datacontenttype",
    "only_for_id", "data", "data_encoding",
)  # fmt: skip
OPTIONAL = ("subject", "dataschema", "partitionkey", "traceparent")
FOREIGN = ("kafka", "sqs", "sns", "pubsub", "amqp")
HEAD_READ_BY_OLDER_CODE = """
    CREATE VIEW router_loghead AS
    SELECT id, position, pruned_to, pruned_number FROM router_head LIMIT 1
"""


def place_cursors(apps: Any, schema_editor: Any) -> None:
    """Each subscriber has everything up to the head; what it asks for today holds for
    every position so far."""
    row = apps.get_model("router", "LogHead").objects.select_for_update().first()
    head = row.position if row else 0
    subscribers = apps.get_model("router", "Subscriber").objects
    cursor = apps.get_model("router", "Cursor")
    period = apps.get_model("router", "Period")
    for each in subscribers.filter(deleted_at=None).only("events", "filter"):
        cursor.objects.create(subscriber=each, start=head, position=head)
        period.objects.create(subscriber=each, events=each.events, filter=each.filter)


def give_deliveries(apps: Any, schema_editor: Any) -> None:
    """Each wanted event above a cursor gets a delivery; none is lost, none doubled."""
    head = apps.get_model("router", "LogHead").objects.select_for_update().first()
    is_read = models.Q(subscriber__is_streamed=True) | models.Q(is_behind=True)
    cursors = apps.get_model("router", "Cursor").objects.filter(is_read, run=0)
    for cursor in cursors.filter(subscriber__deleted_at=None):
        asking = Asking(apps, cursor.subscriber_id)
        for after in range(cursor.position, head.position, STEP):
            _give_deliveries(apps, asking, after, min(after + STEP, head.position))


class Asking:
    """A subscriber as it asked at a position.

    Frozen: later code may judge otherwise. What a filter means is not of this release
    or another: the dialects are those of CloudEvents.
    """

    def __init__(self, apps: Any, subscriber_id: int) -> None:
        subscribers = apps.get_model("router", "Subscriber").objects
        self.subscriber = subscribers.only(*OF_SUBSCRIBER).get(pk=subscriber_id)
        self.is_ordered = self.subscriber.ordering == "key"
        periods = apps.get_model("router", "Period").objects.order_by("-after")
        self._periods = list(periods.filter(subscriber=subscriber_id))

    def wants(self, event: Any) -> bool:
        asked = self.subscriber
        if event.only_for_id is not None:
            return bool(event.only_for_id == asked.pk)
        # A release that knew no periods may have made the subscriber.
        before = (each for each in self._periods if each.after < event.position)
        period = next(before, asked)
        return (
            _matches(self._patterns(period.events, event.type), event.type)
            and _matches(asked.allowed_types, event.type)
            and _matches(asked.allowed_sources, event.source)
            and _passes(period.filter, event)
        )

    def _patterns(self, patterns: list[str], event_type: str) -> list[str]:
        """The router's own events leave for a foreign router only by their names."""
        is_own = event_type.startswith("router.")
        if self.subscriber.transport not in FOREIGN or not is_own:
            return patterns
        return [each for each in patterns if each.startswith("router.")]


def _matches(patterns: list[str], value: str) -> bool:
    return any(
        value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
        for pattern in patterns
    )


def _passes(expression: Any, event: Any) -> bool:
    """A filter that raises decides nothing: the event is owed."""
    if expression is None:
        return True
    try:
        chosen = compiled(expression)
        data = _json_data(event) if chosen.reads_data else None
        return chosen.passes(_context(event), data)
    except Exception:  # noqa: BLE001 - whatever it raises
        return True


def _context(event: Any) -> dict[str, Any]:
    optional = {name: getattr(event, name) for name in OPTIONAL}
    in_utc = event.time.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {
        "specversion": "1.0",
        "id": event.event_id,
        "source": event.source,
        "type": event.type,
        "time": event.time_text or in_utc,
        "datacontenttype": event.datacontenttype,
        **{name: value for name, value in optional.items() if value},
        **event.extensions,
    }


def _json_data(event: Any) -> Any:
    """None where there is none, or it is bytes."""
    if event.data_encoding == "json":
        return json.loads(event.data)
    if event.data_encoding == "base64":
        base64.b64decode(event.data)
    return event.data if event.data_encoding == "" else None


def _give_deliveries(apps: Any, asking: Asking, after: int, to: int) -> None:
    delivery = apps.get_model("router", "Delivery")
    events = apps.get_model("router", "EventRecord").objects.filter(
        position__gt=after, position__lte=to
    )
    rows = events.order_by("position").only(*OF_EVENT).iterator(chunk_size=100)
    now = timezone.now()
    made = [
        delivery(
            event_id=event.number,
            subscriber_id=asking.subscriber.pk,
            ordering_key=event.partitionkey if asking.is_ordered else "",
            # The sweep releases the first of a key.
            due_at=None if asking.is_ordered and event.partitionkey else now,
            created_at=now,
        )
        for event in rows
        if asking.wants(event)
    ]
    # An event that was set aside has its delivery.
    delivery.objects.bulk_create(made, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0024_rollups"),
    ]

    operations = [
        migrations.CreateModel(
            name="Turn",
            fields=[
                (
                    "subscriber",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="turn",
                        serialize=False,
                        to="router.subscriber",
                    ),
                ),
                ("token", models.UUIDField(null=True)),
                ("leased_until", models.DateTimeField(null=True)),
                ("leased_count", models.PositiveIntegerField(default=0)),
                ("marked_until", models.DateTimeField(null=True)),
                ("mark_count", models.PositiveSmallIntegerField(default=0)),
                ("is_full", models.BooleanField(db_default=False, default=False)),
            ],
        ),
        migrations.AddField(
            model_name="subscriber",
            name="is_streamed",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddField(
            model_name="heartbeat",
            name="knows_turns",
            field=models.BooleanField(db_default=False, default=True),
        ),
        migrations.CreateModel(
            name="Cursor",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("run", models.PositiveIntegerField(default=0)),
                ("is_behind", models.BooleanField(db_default=False, default=False)),
                ("start", models.BigIntegerField()),
                ("position", models.BigIntegerField()),
                ("leased_to", models.BigIntegerField(null=True)),
                ("alone_to", models.BigIntegerField(default=-4611686018427387904)),
                ("troubles", models.PositiveSmallIntegerField(default=0)),
                (
                    "subscriber",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="cursors",
                        to="router.subscriber",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Acknowledgement",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("first", models.BigIntegerField()),
                ("last", models.BigIntegerField()),
                ("count", models.PositiveIntegerField()),
                ("acknowledged_at", models.DateTimeField()),
                ("run_ms", models.FloatField(null=True)),
                ("worker", models.CharField(blank=True, default="", max_length=200)),
                (
                    "cursor",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="acknowledgements",
                        to="router.cursor",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Period",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("after", models.BigIntegerField(default=-4611686018427387904)),
                ("events", models.JSONField()),
                ("filter", models.JSONField(null=True)),
                (
                    "subscriber",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="periods",
                        to="router.subscriber",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="cursor",
            constraint=models.UniqueConstraint(
                fields=("subscriber", "run"), name="cursor_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="acknowledgement",
            constraint=models.UniqueConstraint(
                fields=("cursor", "last"), name="acknowledgement_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="period",
            constraint=models.UniqueConstraint(
                fields=("subscriber", "after"), name="period_once"
            ),
        ),
        migrations.AlterModelTable(name="loghead", table="router_head"),
        migrations.RunSQL(
            HEAD_READ_BY_OLDER_CODE, reverse_sql="DROP VIEW router_loghead"
        ),
        migrations.RunPython(place_cursors, give_deliveries),
    ]

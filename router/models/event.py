from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import models

from router.contract.data import DataEncoding, unpack
from router.contract.event import Event
from router.contract.times import MAX_TIME_LENGTH, format_time
from router.models.clock import Clock
from router.models.event_time import EventTimeField
from router.models.gap import BEFORE_IMPORTS, is_imported

#: Attribute of an event → the field that has it.
EVENT_FIELDS = {
    "id": "event_id",
    "source": "source",
    "type": "type",
    "subject": "subject",
    "time": "time",
    "time_text": "time_text",
    "dataschema": "dataschema",
    "partitionkey": "partitionkey",
    "traceparent": "traceparent",
    "extensions": "extensions",
    "datacontenttype": "datacontenttype",
}
#: What `event_of` takes, in this order.
EVENT_COLUMNS = (*EVENT_FIELDS.values(), "data", "data_encoding")


#: Extension of an event of the router itself: it is not delivered before that time.
NOT_BEFORE = "notbefore"
#: What the types of the router's own events begin with.
OWN_TYPES = "router."


def event_of(values: Sequence[Any]) -> Event:
    """The event of a row's values of `EVENT_COLUMNS`."""
    *attributes, stored, encoding = values
    named = dict(zip(EVENT_FIELDS, attributes, strict=True))
    named["data"], named["has_data"] = unpack(stored, encoding)
    return Event.recorded(named)


class EventRecord(models.Model):
    """One published event in the log, which is its own outbox.

    `number` is given at publish and may have gaps; `position` is given by the router
    after the commit and has none. No position yet means: owed, not yet routed. A
    negative position means: imported, see `router.models.gap`.
    """

    number = models.BigAutoField(primary_key=True)
    position = models.BigIntegerField(null=True, unique=True, editable=False)
    event_id = models.CharField("id", max_length=255)
    source = models.CharField(max_length=255)
    type = models.CharField(max_length=255)
    subject = models.CharField(max_length=255, blank=True)
    time = EventTimeField()
    #: As it was published, where `time` does not say all of it.
    time_text = models.CharField(
        max_length=MAX_TIME_LENGTH, blank=True, default="", db_default=""
    )
    dataschema = models.CharField(max_length=500, blank=True)
    partitionkey = models.CharField(max_length=255, blank=True)
    traceparent = models.CharField(max_length=55, blank=True)
    extensions = models.JSONField(default=dict, blank=True)
    datacontenttype = models.CharField(
        max_length=255, db_default="application/json", default="application/json"
    )
    data = models.JSONField()
    #: How `data` has it.
    data_encoding = models.CharField(
        max_length=6,
        blank=True,
        choices=[(encoding.value, encoding.name) for encoding in DataEncoding],
        default="",
        db_default="",
        editable=False,
    )
    digest = models.CharField(max_length=64, editable=False)
    size_bytes = models.PositiveIntegerField(editable=False)
    causation_depth = models.PositiveSmallIntegerField(default=0, editable=False)
    #: NULL where a release recorded the event that sent row numbers as `webhook-id`: a
    #: receiver must get such an event again under the number that it remembers.
    is_webhook_id_derived = models.BooleanField(null=True, editable=False)
    #: Owed to this subscriber alone, whatever the filters say.
    only_for = models.ForeignKey(
        "router.Subscriber",
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    recorded_at = models.DateTimeField(db_default=Clock(), editable=False)

    class Meta:
        verbose_name = "event"
        constraints = [
            models.UniqueConstraint(fields=["source", "event_id"], name="event_once")
        ]
        indexes = [
            models.Index(
                fields=["number"],
                name="event_unrouted",
                condition=models.Q(position__isnull=True),
            ),
            models.Index(fields=["source", "subject"], name="event_of_subject"),
            models.Index(fields=["type", "number"], name="event_of_type"),
            models.Index(fields=["recorded_at"], name="event_recorded"),
        ]

    def __str__(self) -> str:
        return f"{self.type} #{self.number}"

    @property
    def is_imported(self) -> bool:
        """Whether it is a fact from before the router."""
        return is_imported(self.position)

    @property
    def not_before(self) -> datetime | None:
        """When it may be delivered first; of events of the router itself alone, since
        only code of the project can publish these."""
        if not self.type.startswith(OWN_TYPES) or NOT_BEFORE not in self.extensions:
            return None
        return datetime.fromisoformat(self.extensions[NOT_BEFORE])

    def context(self) -> dict[str, str | int | bool]:
        """The context attributes that filters look at; it needs no data."""
        optional = {
            "subject": self.subject,
            "dataschema": self.dataschema,
            "partitionkey": self.partitionkey,
            "traceparent": self.traceparent,
        }
        return {
            "specversion": "1.0",
            "id": self.event_id,
            "source": self.source,
            "type": self.type,
            "time": format_time(self.time, self.time_text),
            "datacontenttype": self.datacontenttype,
            **{name: value for name, value in optional.items() if value},
            **self.extensions,
        }

    def json_data(self) -> Any:
        """The data as a value of JSON; None where there is none, or it is bytes."""
        data, has_data = unpack(self.data, self.data_encoding)
        return data if has_data and not isinstance(data, bytes) else None

    def to_event(self) -> Event:
        """The envelope that subscribers see."""
        return event_of([getattr(self, column) for column in EVENT_COLUMNS])

    def shown(self) -> dict[str, Any]:
        """The event in CloudEvents' JSON format, for people and for lists.

        A row that can't be read has its names and the extension `unreadable`: one bad
        row must not make a list fail.
        """
        try:
            return self.to_event().to_cloudevent()
        except Exception as error:  # noqa: BLE001 - whatever the row holds, it is shown
            return {
                "specversion": "1.0",
                "id": self.event_id,
                "source": self.source,
                "type": self.type,
                "unreadable": type(error).__name__,
            }


class LogHead(models.Model):
    """The log's single head row: code that gives positions, or decides what is routed
    to whom, holds its lock.

    What the log lacks at or below `pruned_to` was pruned; above it nothing was. Beside
    the highest position that was pruned stands the highest number, 0 for none. Imports
    are pruned by a mark of their own.
    """

    position = models.BigIntegerField(default=0)
    pruned_to = models.BigIntegerField(default=0, db_default=0)
    pruned_number = models.BigIntegerField(default=0, db_default=0)
    #: The last position that an import gave.
    imported = models.BigIntegerField(default=BEFORE_IMPORTS, db_default=BEFORE_IMPORTS)
    #: An import may give more: no cursor goes on from imports to live events.
    is_import_open = models.BooleanField(default=False, db_default=False)
    imports_pruned_to = models.BigIntegerField(
        default=BEFORE_IMPORTS, db_default=BEFORE_IMPORTS
    )

    class Meta:
        # A process of a release without cursors must not write to it: under the name
        # that it knows stands a view.
        db_table = "router_head"

    def __str__(self) -> str:
        return f"position {self.position}"

    @property
    def recorded_count(self) -> int:
        """Events that ever got a position."""
        return self.position + self.imported - BEFORE_IMPORTS

    @property
    def has_imports(self) -> bool:
        """Whether a cursor may find an import, now or before the open one ends."""
        return self.is_import_open or self.imported > self.imports_pruned_to

    @property
    def first_whole(self) -> int:
        """The position after which nothing is missing: where the beginning is."""
        return self.imports_pruned_to if self.has_imports else self.pruned_to

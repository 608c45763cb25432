"""Step 1, publish: record the event in the caller's own transaction.

One INSERT, whatever the number of subscribers, and no word to the broker: a checkout
can't hang on it. What commits is owed; what is rolled back nobody hears of.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import DatabaseError, transaction
from django.utils import timezone

from router.conf import conf
from router.contract.data import (
    BINARY_TYPE,
    JSON_TYPE,
    NO_DATA,
    NoData,
    read,
    type_problem,
)
from router.contract.errors import InvalidEvent
from router.contract.event import Event
from router.flow import causation, schemas
from router.flow.batching import for_each
from router.flow.passing import is_collision
from router.flow.recording import Published, record

#: Two batches with the same events in another order may collide: once more, then.
TRIES = 3


def publish(
    type: str,  # noqa: A002 - CloudEvents' own word
    data: Any | NoData = NO_DATA,
    *,
    datacontenttype: str = "",
    source: str | None = None,
    id: str | None = None,  # noqa: A002 - CloudEvents' own word
    subject: str = "",
    time: datetime | None = None,
    partitionkey: str = "",
    dataschema: str = "",
    traceparent: str = "",
    extensions: Mapping[str, str | int | bool] | None = None,
    only_for: int | None = None,
) -> Published:
    """Record an event that the router then owes to every subscriber that wants it.

    `data` is a JSON value, text or bytes, as `datacontenttype` says; left out, there
    is none. The type is `application/json`, of bytes `application/octet-stream`, where
    it is not given. Bytes of a JSON type are read as JSON, those of a text as text.

    Joins the caller's transaction. `(source, id)` names the event: the same pair with
    the same body is the same event and is recorded once, `is_new` tells. Within a
    handler the default id derives from the delivery, so that a second run publishes
    nothing twice. `only_for` is the primary key of a subscriber to owe it to alone.

    Raises `InvalidEvent`, `SchemaViolation`, `EventTooLarge`, `EventConflict` or
    `CausationTooDeep`; then nothing is recorded.
    """
    depth = causation.next_depth()
    event = _event(
        {
            "type": type,
            "data": data,
            "datacontenttype": datacontenttype,
            "source": source,
            "id": id,
            "subject": subject,
            "time": time,
            "partitionkey": partitionkey,
            "dataschema": dataschema,
            "traceparent": traceparent,
            "extensions": extensions,
        }
    )
    return record(event, depth=depth, only_for=only_for)


def publish_batch(entries: Sequence[Mapping[str, Any]]) -> list[Published]:
    """Record all of these events in their order, or none: arguments of `publish` each.

    An event that is in the batch twice is recorded once. Raises `BatchRefused`, whose
    pointers begin with the index of the event.
    """
    depth = causation.next_depth()
    events = for_each(entries, _event)
    for tries_left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                return for_each(events, lambda event: record(event, depth=depth))
        except DatabaseError as error:
            if not (tries_left and is_collision(error)):
                raise
    raise AssertionError("the last try returns or raises")


def _event(entry: Mapping[str, Any]) -> Event:
    """The event that is checked, and nothing of it missing."""
    cause = causation.current()
    said = entry.get
    data, datacontenttype = _data(said("data", NO_DATA), said("datacontenttype", ""))
    event = Event(
        id=said("id") or (cause.next_id() if cause else str(uuid.uuid4())),
        source=said("source") or conf().own_source,
        type=entry["type"],
        subject=said("subject", ""),
        time=said("time") or timezone.now(),
        datacontenttype=datacontenttype,
        dataschema=said("dataschema") or schemas.newest(entry["type"], datacontenttype),
        partitionkey=said("partitionkey", ""),
        traceparent=said("traceparent") or _traceparent(cause),
        extensions=dict(said("extensions") or {}),
        data=None if data is NO_DATA else data,
        has_data=data is not NO_DATA,
    )
    schemas.check_data(event)
    return event


def _data(given: Any, datacontenttype: str) -> tuple[Any, str]:
    """The data as subscribers see it, and its type."""
    if not isinstance(given, bytes | bytearray | memoryview):
        return given, datacontenttype or JSON_TYPE
    kind = datacontenttype or BINARY_TYPE
    if problem := type_problem(kind):
        raise InvalidEvent(
            f"datacontenttype {problem}.", problems=[("/datacontenttype", problem)]
        )
    return read(bytes(given), kind), kind


def _traceparent(cause: causation.Cause | None) -> str:
    """A new W3C trace context, or a child of the cause's."""
    trace = cause.traceparent[3:35] if cause and cause.traceparent else ""
    return f"00-{trace or secrets.token_hex(16)}-{secrets.token_hex(8)}-01"

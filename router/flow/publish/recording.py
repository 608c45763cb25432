"""Writes an event into the log: one INSERT, or the row that exists already."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import connection

from router.conf import conf, digest_key
from router.contract.attributes import attribute_text
from router.contract.data import JSON_TYPE, DataEncoding, Packed, is_json, pack
from router.contract.errors import EventConflict, EventTooLarge
from router.contract.event import Event
from router.contract.json_text import dumped
from router.db.statements import Statement, fetched
from router.models import EventRecord

#: In the order of the values.
COLUMNS = (
    "event_id",
    "source",
    "type",
    "subject",
    "time",
    "time_text",
    "dataschema",
    "partitionkey",
    "traceparent",
    "extensions",
    "datacontenttype",
    "data",
    "data_encoding",
    "digest",
    "size_bytes",
    "causation_depth",
    "only_for_id",
)
DIGEST, SIZE = COLUMNS.index("digest"), COLUMNS.index("size_bytes")
#: Time and trace are those of a call: the same event sent again has others. The data
#: is compared by its digest.
NOT_COMPARED = {"time", "traceparent", "tracestate", "data", "data_base64"}
_INSERT = (
    f'INSERT INTO "{EventRecord._meta.db_table}" ({", ".join(COLUMNS)}, '  # nosec B608  # names from the model
    # An older release leaves it NULL beside this one: see the model.
    '"is_webhook_id_derived") '
    f"VALUES ({', '.join(['%s'] * len(COLUMNS))}, TRUE) "
)
_RETURNING = 'RETURNING "number"'
#: The database takes a twelfth longer to look for a double: not where none can be.
_INSERT_NEW = _INSERT + _RETURNING
_INSERT_ONCE = f'{_INSERT}ON CONFLICT ("source", "event_id") DO NOTHING {_RETURNING}'


@dataclass(frozen=True, kw_only=True)
class Published:
    """An event in the log: its number there, and whether this call recorded it."""

    number: int
    event: Event
    is_new: bool


def record(
    event: Event,
    *,
    depth: int = 0,
    only_for: int | None = None,
    is_settled: bool = False,
    has_random_id: bool = False,
) -> Published:
    """Write the event in the caller's transaction. `is_settled`: what has its source
    and id is the event, whatever differs. `has_random_id`: no other event has its id.

    Raises `EventTooLarge` or `EventConflict`; then nothing is recorded.
    """
    values = values_of(event, depth=depth, only_for=only_for)
    statement = _INSERT_NEW if has_random_id else _INSERT_ONCE
    while (number := _insert(statement, values)) is None:
        if existing := _existing(event):
            digest = None if is_settled else values[DIGEST]
            return _same(event, existing, digest)
        # It was pruned between the two statements.
    return Published(number=number, event=event, is_new=True)


def values_of(
    event: Event, *, depth: int = 0, only_for: int | None = None
) -> tuple[Any, ...]:
    """The event's row as the database takes it, in the order of `COLUMNS`.

    Raises `EventTooLarge`.
    """
    is_plain_text = isinstance(event.data, str) and not is_json(event.datacontenttype)
    packed = pack(event.data, has_data=event.has_data, is_plain_text=is_plain_text)
    extensions = dumped(event.extensions) if event.extensions else "{}"
    size = packed.size_bytes + (len(extensions.encode()) if event.extensions else 0)
    if size > conf().max_event_bytes:
        raise EventTooLarge(
            f"The event has {size:,} bytes; the most is {conf().max_event_bytes:,}. "
            "Publish a reference to the large part instead."
        )
    return (
        event.id,
        event.source,
        event.type,
        event.subject,
        str(connection.ops.adapt_datetimefield_value(event.time)),
        event.time_text,
        event.dataschema,
        event.partitionkey,
        event.traceparent,
        extensions,
        event.datacontenttype,
        packed.text,
        packed.encoding.value,
        _digest(event, packed),
        size,
        depth,
        only_for,
    )


def _insert(statement: str, values: Sequence[Any]) -> int | None:
    """The new row's number, or None when `(source, id)` is there already.

    Raw SQL: one statement that neither aborts the caller's transaction on a double
    nor needs a savepoint, which the ORM can't say. JSON goes as the text it is: dumped
    again by the field it would take as long as all other values together.
    """
    # Not by a plan that the session keeps: behind a pooler that nobody named, a plan
    # that is not there would cost the caller's transaction, and so a sale.
    rows = fetched(Statement(statement, values))
    return int(rows[0][0]) if rows else None


def _existing(event: Event) -> EventRecord | None:
    rows = EventRecord.objects.defer("data")
    return rows.filter(source=event.source, event_id=event.id).first()


def _same(event: Event, record: EventRecord, digest: str | None) -> Published:
    """What is recorded, if it is the same event; without a digest it is. Raises
    `EventConflict` if not."""
    if digest is None:
        return Published(number=record.number, event=event, is_new=False)
    changed = _changed(event, record)
    if not hmac.compare_digest(record.digest, digest) and not changed:
        changed = ["data"]
    if changed:
        raise EventConflict(
            f"Event #{record.number} has the same source and id with another "
            f"{', '.join(changed)}. Give the new event an id of its own."
        )
    kept = {name: getattr(record, name) for name in ("time", "time_text")}
    event = Event.recorded(
        {**event.__dict__, **kept, "traceparent": record.traceparent}
    )
    return Published(number=record.number, event=event, is_new=False)


def _changed(event: Event, record: EventRecord) -> list[str]:
    """The attributes in which the event differs from the recorded one.

    What is equal as text is equal, since binary mode has nothing else.
    """
    before, now = record.context(), event.to_cloudevent()
    names = {**before, **now}.keys() - NOT_COMPARED
    return sorted(
        name for name in names if _compared(before, name) != _compared(now, name)
    )


def _compared(attributes: Mapping[str, Any], name: str) -> str | None:
    value: Any = attributes.get(name)
    # An older release kept no parameters of this type.
    if name == "datacontenttype" and _is_plain_json(value):
        return JSON_TYPE
    return None if value is None else attribute_text(value)


def _digest(event: Event, packed: Packed) -> str:
    """Equal for equal bodies; time and trace do not belong to the body.

    Keyed, since a bare digest of a small body would give the customer's data away.
    """
    body = "\x1f".join(
        (event.type, event.subject, event.dataschema, *_digested(event, packed))
    )
    keyed = _keyed(digest_key()).copy()
    keyed.update(body.encode())
    return keyed.hexdigest()


@lru_cache(1)
def _keyed(key: bytes) -> hmac.HMAC:
    """To be copied: making one takes longer than what it is made for."""
    return hmac.new(key, digestmod="sha256")


def _is_plain_json(datacontenttype: str) -> bool:
    if datacontenttype == JSON_TYPE:
        return True
    return datacontenttype.partition(";")[0].rstrip().lower() == JSON_TYPE


def _digested(event: Event, packed: Packed) -> tuple[str, ...]:
    """The data's part in the digest.

    Of JSON the ASCII form alone, null for none, as older releases recorded it: their
    events may be published again.
    """
    if not _is_plain_json(event.datacontenttype):
        return packed.text, packed.encoding, event.datacontenttype
    if packed.encoding != DataEncoding.JSON and packed.text.isascii():
        return (packed.text,)
    return (json.dumps(event.data, sort_keys=True, separators=(",", ":")),)

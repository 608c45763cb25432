"""Step 1, publish: record the event in the caller's own transaction.

One INSERT, whatever the number of subscribers, and no word to the broker: a checkout
can't hang on it. What commits is owed; what is rolled back is delivered to nobody.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

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
from router.contract.errors import BatchRefused, InvalidEvent, RouterError, named
from router.contract.event import Event
from router.contract.times import parse_time
from router.db.transient import is_collision
from router.flow.publish import causation, schemas
from router.flow.publish.own_events import is_notice, own_problems
from router.flow.publish.recording import Published, record
from router.tracing import spans

Item = TypeVar("Item")
Result = TypeVar("Result")


def for_each(items: Iterable[Item], step: Callable[[Item], Result]) -> list[Result]:
    """What `step` makes of each item. Raises `BatchRefused` when it refuses some."""
    made: list[Result] = []
    refused: dict[int, RouterError] = {}
    for index, item in enumerate(items):
        try:
            made.append(step(item))
        except RouterError as error:
            refused[index] = error
    if refused:
        raise BatchRefused(refused)
    return made


#: Two batches with the same events in another order may collide: once more, then.
TRIES = 3


def publish(
    type: str,
    data: Any | NoData = NO_DATA,
    *,
    datacontenttype: str = "",
    source: str | None = None,
    id: str | None = None,
    subject: str = "",
    time: datetime | str | None = None,
    partitionkey: str = "",
    dataschema: str = "",
    traceparent: str = "",
    extensions: Mapping[str, str | int | bool] | None = None,
) -> Published:
    """Record an event that the router then owes to every subscriber that wants it.

    `data` is a JSON value, text or bytes, as `datacontenttype` says; left out, there
    is none. The type is `application/json`, of bytes `application/octet-stream`, where
    it is not given. Bytes of a JSON type are read as JSON, those of a text as text.

    Joins the caller's transaction. `(source, id)` names the event: the same pair with
    the same envelope and body is the same event and is recorded once, `is_new` tells.
    Within a handler the default id derives from the delivery, so that a second run
    publishes nothing twice. `time` is aware, or text as RFC 3339 has it. `traceparent`
    is what it happened in: where traces are recorded, the event gets that of a child.

    Raises `InvalidEvent`, `SchemaViolation`, `EventTooLarge`, `EventConflict` or
    `CausationTooDeep`; then nothing is recorded.
    """
    with spans.publishing(type, parent=traceparent) as own:
        return _publish(
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
                "traceparent": own,
                "extensions": extensions,
            }
        )


def publish_given(entry: Mapping[str, Any]) -> Published:
    """Record the event of a publisher elsewhere: arguments of `publish`, whose errors
    are raised. A traceparent that it comes with stays."""
    with spans.publishing_given([entry]) as own:
        return _publish(entry, traceparent=own)


def _publish(entry: Mapping[str, Any], *, traceparent: str = "") -> Published:
    depth = causation.next_depth()
    event = checked_event(entry, traceparent=traceparent)
    return record(
        event,
        depth=depth,
        is_settled=_is_settled(entry.get("id")),
        has_random_id=not (entry.get("id") or causation.current()),
    )


def publish_notice(
    event_type: str, data: Any, *, only_for: int | None = None, **attributes: Any
) -> Published:
    """Record an event of the router itself: a type that nobody else may publish.

    `only_for` is the primary key of a subscriber to owe it to alone, `attributes` are
    arguments of `publish`, whose errors are raised.
    """
    depth = causation.next_depth(is_notice=is_notice(event_type))
    parent = attributes.pop("traceparent", "")
    with spans.publishing(event_type, parent=parent) as own:
        entry = {"type": event_type, "data": data, **attributes}
        return record(
            _checked(entry, own),
            depth=depth,
            only_for=only_for,
            is_settled=_is_settled(attributes.get("id")),
        )


def publish_batch(entries: Sequence[Mapping[str, Any]]) -> list[Published]:
    """Record all of these events in their order, or none: each as `publish_given` does.

    An event that is in the batch twice is recorded once. Raises `BatchRefused`, whose
    pointers begin with the index of the event.
    """
    with spans.publishing_given(entries) as own:
        with schemas.as_one_batch():
            check = partial(checked_event, traceparent=own)
            events = for_each(entries, check)
        return _record_all(entries, events)


def _record_all(
    entries: Sequence[Mapping[str, Any]], events: Sequence[Event]
) -> list[Published]:
    depth = causation.next_depth()
    for tries_left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                return for_each(
                    zip(entries, events, strict=True),
                    lambda each: record(
                        each[1], depth=depth, is_settled=_is_settled(each[0].get("id"))
                    ),
                )
        except DatabaseError as error:
            if not (tries_left and is_collision(error)):
                raise
    raise AssertionError("the last try returns or raises")


def _is_settled(given_id: str | None) -> bool:
    """Whether an event that is there already is the one that is published, whatever
    differs: in a run, a handler published it when it had the event before."""
    cause = causation.current()
    return cause is not None and cause.is_again and not given_id


def checked_event(entry: Mapping[str, Any], *, traceparent: str = "") -> Event:
    """The event of a publisher by arguments of `publish`, checked; nothing is recorded.

    `traceparent` is for one that has none. What is the router's own is refused: raises
    what `publish` raises.
    """
    problems = own_problems(entry["type"], entry.get("source"))
    if problems:
        raise InvalidEvent(
            f"The event is not valid: {named(problems)}.", problems=problems
        )
    return _checked(entry, traceparent)


def _checked(entry: Mapping[str, Any], traceparent: str) -> Event:
    """The event that is checked, and nothing of it missing."""
    cause = causation.current()
    given = entry.get
    data, datacontenttype = _data(given("data", NO_DATA), given("datacontenttype", ""))
    time, time_text = _time(given("time") or None)
    attributes = {
        "id": given("id") or (cause.next_id() if cause else str(uuid.uuid4())),
        "source": given("source") or conf().own_source,
        "type": entry["type"],
        "subject": given("subject", ""),
        "time": time,
        "time_text": time_text,
        "datacontenttype": datacontenttype,
        "dataschema": given("dataschema", ""),
        "partitionkey": given("partitionkey", ""),
        "traceparent": given("traceparent") or traceparent or _traceparent(cause),
        "extensions": given("extensions") or {},
        "data": None if data is NO_DATA else data,
        "has_data": data is not NO_DATA,
    }
    event = schemas.with_schema(Event.checked(attributes))
    if event.dataschema:
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


def _time(given: Any) -> tuple[Any, str]:
    """The moment, and its text where it says more; what is wrong stays as it is."""
    if not isinstance(given, str):
        return timezone.now() if given is None else given, ""
    return parse_time(given) or (given, "")


def _traceparent(cause: causation.Cause | None) -> str:
    """A new W3C trace context, or a child of the cause's."""
    trace = cause.event.traceparent[3:35] if cause else ""
    digits = secrets.token_hex(24)
    return f"00-{trace or digits[:32]}-{digits[32:]}-01"

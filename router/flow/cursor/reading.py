"""Step 4, claim in the stream: take the lease, read the next events above the cursor.

The lease is taken in one statement and the log is read in a later one: in the same one
a second claimer would read the log as it was before the first one settled, and get a
chunk that is done. At or below the head's position the log of that moment is final:
positions are given after the commit, under the head's lock.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.models import F

from router.conf import conf
from router.contract.data import DataEncoding, unpack
from router.contract.dialects import compiled
from router.contract.event import Event
from router.db.patterns import WANTED, WANTED_BY_JSON
from router.db.pipeline import rows_of_planned
from router.db.session import is_wary
from router.db.statements import Select, Statement, changed, fetched
from router.flow.cursor.claim_sql import claim_text
from router.flow.cursor.turn import FREE, TAKE, TAKE_WARILY
from router.models import (
    EVENT_COLUMNS,
    EVENT_FIELDS,
    LIVE,
    Cursor,
    Delivery,
    EventRecord,
    LogHead,
    Period,
    Run,
    Subscriber,
    Turn,
)

#: A claim looks at so many events of the log at most, whatever their types.
SPAN = 10_000
#: SQLite has one writer at a time: a publisher must not wait for a long chunk.
MAX_SQLITE_SECONDS = 0.05
#: What every chunk needs of its subscriber.
OF_SUBSCRIBER = (
    "name", "title", "transport", "state", "rate_per_second", "breaker",
    "breaker_epoch", "ramp", "incident_since", "is_streamed",
)  # fmt: skip
#: What is read of an event.
OF_EVENT = ("position", "number", "causation_depth", "only_for", *EVENT_COLUMNS)
#: The columns of `picked`.
OF_PICKED = ("before", "size_bytes", *OF_EVENT)
_parsed = json.JSONDecoder().raw_decode


def _json(text: str) -> Any:
    # `json.loads` also looks for spaces around it, and for its encoding.
    return _parsed(text)[0]


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    here: Any = connections[DEFAULT_DB_ALIAS]
    return (
        at.astimezone(here.timezone) if at.tzinfo else at.replace(tzinfo=here.timezone)
    )


class Streamed(tuple[Any, ...]):
    """What a worker needs of an event of the log: the values of `OF_EVENT`, as the
    database gives them. To read all of them takes longer than most handlers."""

    __slots__ = ()
    position = property(itemgetter(0))
    number = property(itemgetter(1))
    causation_depth = property(itemgetter(2))
    #: Its chunk tells.
    is_again = False
    #: One that failed has a delivery.
    attempts = 1

    @property
    def is_addressed(self) -> bool:
        """For this subscriber alone: no filter is asked."""
        return self[3] is not None

    def to_event(self) -> Event:
        return Event.read_by(self.read)

    def read(self, name: str) -> Any:
        """An attribute of its event."""
        if name == "data":
            return unpack(_json(self[-2]), self[-1])[0]
        if name == "has_data":
            return self[-1] != DataEncoding.NONE
        value = self[PLACES[name]]
        return READERS[name](value) if name in READERS else value

    @property
    def log_ids(self) -> Mapping[str, int]:
        """What log lines about it carry."""
        return {"event": self.number}

    def passes(self, expression: Any) -> bool:
        """Whether a filter lets it through. Raises what a filter that fails raises."""
        chosen, event = compiled(expression), self.to_event()
        data = event.data if chosen.reads_data else None
        return chosen.passes(event.context(), None if isinstance(data, bytes) else data)


#: Attribute of an event → its place among the values.
PLACES = {name: OF_EVENT.index(field) for name, field in EVENT_FIELDS.items()}
READERS = {"time": _moment, "extensions": _json}


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """The next events of a cursor, under its subscriber's lease.

    `events` are those in (`position`, `until`] that may be wanted: their types are, and
    `filter` is to be asked. All of them settled, the cursor goes on at `until`.
    """

    subscriber: Subscriber
    token: uuid.UUID
    cursor_id: int
    position: int
    until: int
    head: int
    filter: Mapping[str, Any] | None
    events: tuple[Streamed, ...]
    #: Of the live cursor: None.
    run: Run | None = None

    @property
    def has_more(self) -> bool:
        """Whether the log goes on behind it."""
        return self.until < self.head

    def wants(self, event: Streamed) -> bool:
        """Whether the filter of its period lets the event through.

        Raises whatever a filter raises: it decides nothing.
        """
        if self.filter is None or event.is_addressed:
            return True
        return event.passes(self.filter)

    def only(self, events: Sequence[Streamed], *, position: int, until: int) -> Chunk:
        """The same lease for these of its events, from `position` to `until`."""
        return replace(self, events=tuple(events), position=position, until=until)


def next_chunk(
    subscriber_id: int, *, run: Run | None = None, most_seconds: float = math.inf
) -> Chunk | None:
    """Lease the next events of the live cursor, or of a run; None where there is
    nothing to serve now: another has the lease, it is held, or has not one event more.

    Committed before any handler runs. Where the events that it looked at are all of
    other types, the cursor has moved past them, and the chunk has no events.
    """
    token = uuid.uuid4()
    seconds = min(chunk_seconds(), most_seconds)
    number = run.number if run else LIVE
    here, *rows = _read(subscriber_id, token, number, seconds) or [None]
    if here is None:
        return None
    cursor_id, position, until, head, count, size, filter_ = here[: len(OF_CURSOR)]
    events = tuple(Streamed(row[-len(OF_EVENT) :]) for row in rows)
    is_all = len(events) == count < size
    return Chunk(
        subscriber=_SUBSCRIBER.as_models([here[len(OF_CURSOR) : -len(OF_PICKED)]])[0],
        token=token,
        cursor_id=cursor_id,
        position=position,
        until=until if is_all or not events else events[-1].position,
        head=head,
        filter=json.loads(filter_) if filter_ else None,
        events=events,
        run=run,
    )


def chunk_seconds() -> float:
    """How long a chunk should run."""
    seconds = conf().chunk_seconds
    is_sqlite = connection.vendor == "sqlite"
    return min(seconds, MAX_SQLITE_SECONDS) if is_sqlite else seconds


def _read(
    subscriber_id: int, token: uuid.UUID, run: int, seconds: float
) -> Sequence[Any]:
    """The rows of `claim_text`; none where the lease is another's."""
    is_alone = is_wary()
    take = (TAKE_WARILY if is_alone else TAKE).bound(
        subscriber_id=subscriber_id, token=token, run=run
    )
    limit = 1 if is_alone else conf().stream_limit
    read = _statement(subscriber_id, token, limit, run, seconds)
    if connection.vendor == "postgresql":
        return rows_of_planned([take, read])[-1]
    with transaction.atomic():
        if not changed(take):
            return ()
        rows = fetched(read)
        _note_lease(subscriber_id, run, rows)
        return rows


def _note_lease(subscriber_id: int, run: int, rows: Sequence[Any]) -> None:
    """What PostgreSQL does in the statement that reads."""
    turn = Turn.objects.filter(pk=subscriber_id)
    cursor = Cursor.objects.filter(subscriber=subscriber_id, run=run)
    if len(rows) > 1:
        turn.update(leased_count=len(rows) - 1)
        cursor.update(leased_to=rows[-1][-len(OF_EVENT)])
    else:
        turn.update(**FREE)
        cursor.update(leased_to=None, position=rows[0][2] if rows else F("position"))


def _statement(
    subscriber_id: int, token: uuid.UUID, limit: int, run: int, seconds: float
) -> Statement:
    limits = SPAN, conf().chunk_bytes, seconds, conf().stream_limit
    sql, names = _sql(connection.vendor, run != LIVE, *limits)
    field: Any = Turn._meta.get_field("token")
    values = {
        "subscriber": subscriber_id,
        "token": field.get_db_prep_value(token, connection),
        "limit": limit,
        "run": run,
    }
    return Statement(sql, [values[name] for name in names])


@cache
def _sql(
    vendor: str,
    is_run: bool,
    span: int,
    chunk_bytes: int,
    seconds: float,
    stream_limit: int,
) -> tuple[str, Sequence[str]]:
    """The text for a cursor, and the names of its parameters in their order."""
    is_postgresql = vendor == "postgresql"
    text = claim_text(is_run=is_run, is_postgresql=is_postgresql).format(
        turn=Turn._meta.db_table,
        cursor=Cursor._meta.db_table,
        subscriber=Subscriber._meta.db_table,
        head=LogHead._meta.db_table,
        period=Period._meta.db_table,
        event=EventRecord._meta.db_table,
        delivery=Delivery._meta.db_table,
        least="LEAST" if is_postgresql else "MIN",
        most="GREATEST" if is_postgresql else "MAX",
        wanted=(WANTED if is_postgresql else WANTED_BY_JSON).format(
            column="event.type", patterns="(SELECT events FROM here)"
        ),
        **_columns(),
        span=span,
        run=Run._meta.db_table,
        live=LIVE,
        bytes=chunk_bytes,
        chunk_ms=seconds * 1000,
        rate_seconds=seconds,
        everything=stream_limit,
    )
    # psycopg remembers what it made of a text of up to 4096 characters; of a longer one
    # each claim would make it anew.
    text = " ".join(text.split()).replace(", ", ",")
    names = re.findall(r":(subscriber|token|limit|run)\b", text)
    return re.sub(r":(subscriber|token|limit|run)\b", "%s", text), names


def _columns() -> Mapping[str, Any]:
    """The columns of an answer: of cursor and subscriber in its first row, of an event
    in each other."""
    known = {f"of_{n}": name for n, name in enumerate(_SUBSCRIBER.column_names())}
    here = [*OF_CURSOR, *known]
    return {
        "columns": ", ".join(_selected()),
        "known": ", ".join(f'subscriber."{name}" AS {n}' for n, name in known.items()),
        "first": ", ".join([*here, *["NULL"] * len(OF_PICKED)]),
        "others": ", ".join(["NULL"] * len(here)),
        "place": len(here) + OF_PICKED.index("position") + 1,
    }


def _fields() -> Iterator[Any]:
    return (EventRecord._meta.get_field(name) for name in OF_EVENT)


def _selected() -> Iterator[str]:
    """The columns as the ORM selects them: a time that Python does not have would fail
    the whole claim."""
    compiler = EventRecord.objects.all().query.get_compiler(connection=connection)
    for field in _fields():
        sql, _ = field.select_format(compiler, f'event."{field.column}"', ())
        # The driver's own reading of a time costs more than that of all others.
        yield f'CAST({sql} AS text) AS "time"' if field.name == "time" else sql


#: The columns of `here` in the first row of the answer, before those of the subscriber;
#: then come those of `picked`.
OF_CURSOR = ("id", "position", "until", "head", "count", "size", "filter")
_SUBSCRIBER = Select(lambda: Subscriber.objects.only(*OF_SUBSCRIBER).order_by())

"""Step 6 in the stream: the cursor moves, in the transaction of the effects.

The Turn proves the lease by its token. The cursor proves that it did not move: where a
COMMIT seemed lost and was applied, the token alone would let the same chunk settle
again. One row each, or everything rolls back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import BigIntegerField

from router.contract.errors import LeaseLost
from router.db.bulk_insert import Insert
from router.db.pipeline import NotAll, update_expecting
from router.db.statements import Param, Statement, Update
from router.flow.breaker import breaker
from router.flow.cursor import turn
from router.flow.cursor.above import is_owed_above
from router.flow.cursor.giving import given
from router.flow.cursor.reading import Chunk, Streamed
from router.flow.deliver.settling import released, success_note
from router.flow.heartbeats import heartbeat_name
from router.models import Acknowledgement, Clock, Cursor, Heartbeat, Run

CURSOR = Param("cursor_id", BigIntegerField())
EXPECTED = Param("expected", BigIntegerField())
UNTIL = Param("until", BigIntegerField())
#: What differs between the rows of `_LOG` → its type.
KINDS = {
    "cursor_id": "bigint",
    "first": "bigint",
    "last": "bigint",
    "count": "integer",
    "run_ms": "double precision",
    "worker": "text",
}


def acknowledge_chunk(
    chunk: Chunk,
    *,
    run_ms: Sequence[float],
    is_last: bool,
    guard: str | None = None,
    may_commit: bool = False,
) -> None:
    """Acknowledge the events of the chunk and move its cursor to its end, in the
    caller's transaction.

    `run_ms` has the run time of each that its filter let through; `is_last` ends the
    lease. `guard` and `may_commit` are those of `acknowledge`. Raises `LeaseLost`.
    """
    is_troubled = breaker.is_troubled(chunk.subscriber)
    log = [_acknowledgement(chunk, run_ms)] if run_ms else []
    beside = [success_note(chunk.subscriber.pk, run_ms)] if run_ms else []
    if chunk.run is not None and run_ms:
        beside.append(given_of(chunk.run, chunk.events))
    try:
        update_expecting(
            2,
            fences(chunk, is_last=is_last),
            *log,
            *beside,
            before=released(guard),
            may_commit=may_commit and not is_troubled,
        )
    except NotAll as error:
        raise LeaseLost from error
    if is_troubled and run_ms:
        subscriber, first = chunk.subscriber, chunk.events[0]
        after = chunk.until if chunk.run is None else None
        is_above = is_owed_above(subscriber, after=after)
        has_more = is_above or breaker.has_due(subscriber)
        breaker.note_success(subscriber, first, has_more=has_more)


def fences(chunk: Chunk, *, is_last: bool) -> list[Statement]:
    """The statements that write to the Turn and to the cursor, a row each while the
    lease is ours and the cursor where it was."""
    held = turn.END if is_last else turn.HOLD
    subscriber_id = chunk.subscriber.pk
    return [
        held.bound(subscriber_id=subscriber_id, token=chunk.token),
        _MOVE.bound(
            cursor_id=chunk.cursor_id, expected=chunk.position, until=chunk.until
        ),
    ]


def given_of(run: Run, events: Iterable[Streamed]) -> Statement:
    """The statement that counts these events as given by their run."""
    names = [(event.source, event.id) for event in map(Streamed.to_event, events)]
    return given(run.pk, run.rate_per_second, names)


def _acknowledgement(chunk: Chunk, run_ms: Sequence[float]) -> Statement:
    row = (
        chunk.cursor_id,
        # No event of another type, which may be far older.
        chunk.events[0].position,
        chunk.until,
        len(run_ms),
        sum(run_ms) / len(run_ms),
        heartbeat_name(Heartbeat.Kind.WORKER),
    )
    given = _LOG.of([row])
    # One is there where the lease was lost and another settled the same: the fences
    # say so. SQLite takes ON for that of a join, without a condition before it.
    return Statement(f"{given.sql} WHERE TRUE ON CONFLICT DO NOTHING", given.parameters)


def _moved() -> tuple[Any, dict[str, Any]]:
    rows = Cursor.objects.filter(pk=CURSOR, position=EXPECTED)
    return rows, {"position": UNTIL, "troubles": 0}


_MOVE = Update(_moved)
_LOG = Insert(Acknowledgement, KINDS, lambda: {"acknowledged_at": Clock()})

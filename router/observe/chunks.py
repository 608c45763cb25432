"""The events of chunks that were acknowledged in the stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from router.models import Acknowledgement, Subscriber
from router.observe.live_cursors import LiveCursor, live_cursors
from router.observe.wanted import Range, Wanted, wanted_in


@dataclass(frozen=True, kw_only=True)
class AcknowledgedChunk:
    subscriber: Subscriber
    count: int
    acknowledged_at: datetime
    #: Of one event, the mean.
    run_ms: float | None
    #: By their numbers in the log, the first and the last event, and the type of one.
    first_number: int
    last_number: int
    type: str


def acknowledged_chunks(rows: Sequence[Acknowledgement]) -> list[AcknowledgedChunk]:
    """These chunks, without those whose events were pruned: two statements, none
    without chunks."""
    if not rows:
        return []
    cursors = {each.cursor_id: each for each in live_cursors()}
    known = [row for row in rows if row.cursor_id in cursors]
    ranges = {row.pk: _ranges_of(cursors[row.cursor_id], row) for row in known}
    found = wanted_in([each for of_row in ranges.values() for each in of_row])
    return [
        _chunk(row, cursors[row.cursor_id].subscriber, wanted)
        for row in known
        if (wanted := [found[each] for each in ranges[row.pk] if each in found])
    ]


def _ranges_of(cursor: LiveCursor, row: Acknowledgement) -> list[Range]:
    return cursor.ranges(row.first - 1, row.last)


def _chunk(
    row: Acknowledgement, subscriber: Subscriber, wanted: Sequence[Wanted]
) -> AcknowledgedChunk:
    return AcknowledgedChunk(
        subscriber=subscriber,
        count=row.count,
        acknowledged_at=row.acknowledged_at,
        run_ms=row.run_ms,
        first_number=min(each.first_number for each in wanted),
        last_number=max(each.last_number for each in wanted),
        type=wanted[-1].type,
    )

"""Streamed subscribers that may want a batch of events, and are rung for at once.

The mark is part of routing's transaction. Where no room is known, or a lease or a mark
is in the way, the dispatcher's look rings later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from router.flow.cursor.streamed import Streamed
from router.flow.dispatch.chunk import Chunk, ring
from router.flow.route.batch import Batch
from router.models import Subscriber
from router.models.subscriber import is_handler_missing

HasRoom = Callable[[Subscriber], bool]


def wanted_to(batch: Batch, position: int, streamed: Streamed) -> dict[int, int]:
    """Primary key of a streamed subscriber → the last of the batch's events that it may
    want, by its position; whatever its filter says. The first is after `position`."""
    wanted: dict[int, int] = {}
    for place, event in enumerate(batch.events, position + 1):
        if event.only_for_id is not None:
            wanted[event.only_for_id] = place
        else:
            wanted.update(dict.fromkeys(streamed.asking_for(event.type), place))
    for each in batch.by_row:
        wanted.pop(each.pk, None)
    return wanted


def choose_rung(wanted: Iterable[Subscriber], has_room: HasRoom) -> list[Subscriber]:
    """The streamed subscribers to ring for now, where they are free."""
    return [each for each in wanted if not is_handler_missing(each) and has_room(each)]


def turns_of(
    rows: Iterable[tuple[int]], subscribers: Iterable[Subscriber]
) -> tuple[Chunk, ...]:
    """What rings for those of these subscribers that were marked."""
    marked = {pk for (pk,) in rows}
    return tuple(ring(each) for each in subscribers if each.pk in marked)

"""Streamed subscribers that may want a batch of events, and are rung for at once.

The mark is part of routing's transaction. Where no room is known, or a lease or a mark
is in the way, the dispatcher's look rings later.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

from router.flow.dispatch.chunk import Chunk, ring
from router.flow.route.batch import Batch
from router.models import Subscriber
from router.models.subscriber import is_handler_missing

HasRoom = Callable[[Subscriber], bool]


def wanted_to(batch: Batch, position: int) -> dict[int, int]:
    """Primary key of a streamed subscriber → the last of the batch's events that it may
    want, by its position; whatever its filter says. The first is after `position`."""
    wanted: dict[int, int] = {}
    of_type: dict[str, list[int]] = {}
    for place, event in enumerate(batch.events, position + 1):
        if event.only_for_id is not None:
            wanted[event.only_for_id] = place
            continue
        if event.type not in of_type:
            of_type[event.type] = [
                each.pk for each in batch.streamed if each.asks_for(event.type)
            ]
        wanted.update(dict.fromkeys(of_type[event.type], place))
    return {each.pk: wanted[each.pk] for each in batch.streamed if each.pk in wanted}


def choose_rung(
    streamed: Iterable[Subscriber], wanted: Container[int], has_room: HasRoom
) -> set[int]:
    """The primary keys of streamed subscribers to ring for now, where they are free."""
    return {
        each.pk
        for each in streamed
        if each.pk in wanted and not is_handler_missing(each) and has_room(each)
    }


def turns_of(
    rows: Iterable[tuple[int]], subscribers: Sequence[Subscriber]
) -> tuple[Chunk, ...]:
    """What rings for those of these subscribers that were marked."""
    marked = {pk for (pk,) in rows}
    return tuple(ring(each) for each in subscribers if each.pk in marked)

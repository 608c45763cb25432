"""Step 3, ring: the streamed subscribers whose cursors have a wanted event above them.

A dispatcher remembers what it routed, and asks once for what others routed. What it
remembers may be too much, never too little: from time to time it takes for granted that
every cursor has something above it, and a claim that finds nothing moves the cursor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from router.conf import conf
from router.contract.pacing import Every
from router.db.pipeline import rows_of_planned
from router.db.statements import IDS, Select, Statement
from router.flow.cursor import turn
from router.flow.cursor.reading import SPAN
from router.flow.cursor.runs_in_stream import Looking, subscribers_to_ring
from router.flow.cursor.streamed import NEWEST_PERIOD, Streamed
from router.flow.dispatch.chunk import Chunk, ring
from router.models import LIVE, Cursor, EventRecord, LogHead, Period, Subscriber
from router.models.subscriber import is_handler_missing

#: What is read of a subscriber, to choose its queue.
OF_SUBSCRIBER = ("pk", "name", "transport", "queue", "fixed_queue", "mean_run_ms")


class Wanted:
    """What one dispatcher knows of the events above the cursors."""

    def __init__(self, streamed: Streamed | None = None) -> None:
        self._streamed = streamed or Streamed()
        #: Primary key of a subscriber → the last position that it may want.
        self._positions: dict[int, int] = {}
        #: The head's position when it last knew all; None: it knows nothing.
        self._known_to: int | None = None
        self._assumption = Every(conf().stream_look_seconds)

    def note_routed(self, after: int, position: int, wanted: Mapping[int, int]) -> None:
        """This dispatcher routed the events after one position, up to another."""
        self._positions.update(wanted)
        if self._known_to == after:
            self._known_to = position

    def due(self) -> list[Subscriber]:
        """The subscribers that may be rung for now: what lies above their cursors is
        wanted, as far as is known, they are free, and no message for them is on its
        way."""
        return self.due_of(rows_of_planned(self.looks()))

    def looks(self) -> list[Statement]:
        """The statements whose rows `due_of` takes, for what is known now."""
        return [_HEAD.bound(), *_looks(self._positions)]

    def due_of(self, found: Sequence[Sequence[Any]]) -> list[Subscriber]:
        """`due`, by the rows of the `looks`."""
        looked_at = set(self._positions)
        head, *known = found
        self._catch_up(head[0][0] if head else 0)
        learnt = self._positions.keys() - looked_at
        if learnt:
            known += rows_of_planned(_looks(learnt))
        return list(self._of(_read(chain(*known))))

    def _of(self, known: dict[int, Any]) -> Iterator[Subscriber]:
        """Those of them that are free; what was served, or is gone, is forgotten."""
        for pk in self._positions.keys() - known.keys():
            del self._positions[pk]
        for pk, (subscriber, position, is_free) in known.items():
            if position >= self._positions[pk]:
                del self._positions[pk]
            elif is_free and not is_handler_missing(subscriber):
                yield subscriber

    def _catch_up(self, head: int) -> None:
        """Learn of what others routed, up to the head's position."""
        known_to = self._known_to
        if known_to is None or head < known_to or self._assumption.is_due():
            self._assume(head, _all_streamed())
        elif head > known_to:
            self._assume(head, _may_want(known_to, head, self._streamed))
        self._known_to = head

    def _assume(self, head: int, ids: Iterable[int]) -> None:
        self._positions.update(dict.fromkeys(ids, head))


class RunsWaiting:
    """The subscribers that are to be rung for because of a run."""

    def __init__(self) -> None:
        self._looking = Looking()

    def due(self, *, but: Collection[int]) -> list[Subscriber]:
        """Those that are free, and have a run that may go on now; `but` these, which
        are rung for already. Costs a statement while there is any run."""
        ids = self._looking.known().difference(but)
        with_run = subscribers_to_ring(ids)
        known = _read(*rows_of_planned(_looks(with_run))) if with_run else {}
        return [row for row, _, _ in known.values() if not is_handler_missing(row)]


def _looks(ids: Collection[int]) -> list[Statement]:
    """What looks at these subscribers, if there are any."""
    return [_LOOK.bound(ids=list(ids))] if ids else []


def _read(rows: Iterable[Any]) -> dict[int, Any]:
    """Primary key → subscriber, position of its cursor, whether it is free."""
    known = {}
    for *values, position, is_free in _LOOK.converted(rows):
        fields = dict(zip(OF_SUBSCRIBER, values, strict=True))
        known[fields["pk"]] = Subscriber(**fields), position, is_free
    return known


def mark_rung(subscribers: Sequence[Subscriber]) -> list[Chunk]:
    """Mark those of these that are still free; returns what to send."""
    if not subscribers:
        return []
    mark = turn.mark((each.pk for each in subscribers), is_alone=True)
    [rows] = rows_of_planned([mark])
    marked = {pk for (pk,) in rows}
    return [ring(each) for each in subscribers if each.pk in marked]


def _all_streamed() -> list[int]:
    return [pk for (pk,) in _STREAMED.rows()]


def _may_want(after: int, head: int, streamed: Streamed) -> Iterable[int]:
    """The subscribers that may want an event between these positions, among them all
    that are streamed."""
    is_changed = Period.objects.filter(after__gt=after).exists()
    if head - after > SPAN or is_changed:
        # What they asked for then may be other than what they ask for now.
        return _all_streamed()
    # Later than the head: what was asked for up to there is committed.
    streamed.refresh(NEWEST_PERIOD.rows())
    events = EventRecord.objects.filter(position__gt=after, position__lte=head)
    types = set(events.filter(only_for=None).values_list("type", flat=True).distinct())
    alone = set(events.exclude(only_for=None).values_list("only_for", flat=True))
    return alone.union(*map(streamed.asking_for, types))


def _look() -> QuerySet[Subscriber, Any]:
    cursor = Cursor.objects.filter(subscriber=OuterRef("pk"), run=LIVE)
    return (
        Subscriber.objects.known()
        .filter(pk__in_array=IDS, is_streamed=True)
        .values_list(
            *OF_SUBSCRIBER,
            Subquery(cursor.values("position")[:1]),
            Exists(turn.may_be_rung().filter(pk=OuterRef("pk"))),
        )
    )


_LOOK = Select(_look)
_HEAD = Select(lambda: LogHead.objects.values_list("position"))
_STREAMED = Select(
    lambda: Subscriber.objects.known().filter(is_streamed=True).values_list("pk")
)

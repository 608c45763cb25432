"""The next events to route, the oldest without a position, and their subscribers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from django.db.models import BigIntegerField, QuerySet

from router.db.pipeline import rows_of_first, rows_of_planned
from router.db.statements import Param, Select
from router.flow.cursor.streamed import NEWEST_PERIOD, Streamed
from router.flow.route.behind import BEHIND
from router.flow.route.head import TRY_LOCK
from router.models import EventRecord, Subscriber

Rows = Sequence[Any]
AFTER = Param("after", BigIntegerField())
#: How many subscribers get deliveries, by the last batch of this process.
_known_count = 1
#: Row as the database gave it → subscriber, of the last batch of this process.
_last_known: dict[Any, Subscriber] = {}
#: Whether another held the head when this process last asked.
_is_head_held = False
#: What is read of each subscriber that gets deliveries: for what it is owed.
OF_SUBSCRIBER = (
    "name",
    "transport",
    "events",
    "filter",
    "allowed_types",
    "allowed_sources",
    "ordering",
)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The next events, and all that is needed to route them."""

    head: Sequence[Any]
    #: Those that are served row by row.
    by_row: Sequence[Subscriber]
    #: Primary keys of those among them that get no deliveries from routing.
    behind: Collection[int]
    events: Sequence[EventRecord]
    is_full: bool

    @cached_property
    def receiving(self) -> list[Subscriber]:
        """Those that get a delivery of each event."""
        return [each for each in self.by_row if each.pk not in self.behind]


NO_BATCH = Batch(head=(), by_row=(), behind=(), events=(), is_full=False)


def has_unrouted(*, after: int = 0) -> bool:
    """Whether an event above the number `after` waits; takes no lock."""
    return bool(_LOOK.rows(after=after))


def next_batch(
    after: int, delivery_limit: int, streamed: Streamed, *, owns_transaction: bool
) -> Batch:
    """The next events and their subscribers; no head while another process routes.

    In the caller's transaction; `owns_transaction` says that it is one of the router's
    own. `streamed` then knows what was asked for up to now.
    """
    global _is_head_held, _known_count
    if _is_head_held and not rows_of_first([TRY_LOCK.bound()])[0]:
        # Another may hold it for long, and all would be read each time, for nothing.
        return NO_BATCH
    guess = max(1, delivery_limit // max(1, _known_count))
    statements = [
        *(query.bound() for query in (TRY_LOCK, NEWEST_PERIOD, _BY_ROW, BEHIND)),
        _first_unrouted(guess).bound(after=after),
    ]
    head, newest, *rows = rows_of_planned(statements, owns_transaction=owns_transaction)
    _is_head_held = not head
    if not head:
        return NO_BATCH
    streamed.refresh(newest)
    batch = _batch(head, rows, delivery_limit, guess)
    _known_count = len(batch.receiving)
    return batch


def _batch(head: Rows, rows: Sequence[Rows], delivery_limit: int, guess: int) -> Batch:
    """The batch of these rows; of the events no more than the deliveries allow."""
    first, (known, behind, unrouted) = _first_unrouted(guess), rows
    by_row = _as_subscribers(known)
    limit = max(1, delivery_limit // max(1, len(by_row)))
    return Batch(
        head=head,
        by_row=by_row,
        behind={pk for (pk,) in behind},
        events=first.as_models(unrouted)[:limit],
        is_full=len(unrouted) >= min(limit, guess),
    )


def _as_subscribers(rows: Rows) -> list[Subscriber]:
    """The subscribers of these rows; one whose row is as it was in the last batch is
    not made again: of hundreds hardly any has changed."""
    global _last_known
    missing = [row for row in rows if row not in _last_known]
    made = dict(zip(missing, _BY_ROW.as_models(missing), strict=True))
    _last_known = {row: made.get(row) or _last_known[row] for row in rows}
    return list(_last_known.values())


def _unrouted(after: Any) -> QuerySet[EventRecord]:
    return EventRecord.objects.filter(position__isnull=True, number__gt=after)


@cache
def _first_unrouted(limit: int) -> Select:
    return Select(lambda: _unrouted(AFTER).order_by("number").defer("data")[:limit])


_LOOK = Select(lambda: _unrouted(AFTER).values_list("number")[:1])
_BY_ROW = Select(
    lambda: Subscriber.objects.known().filter(is_streamed=False).only(*OF_SUBSCRIBER)
)

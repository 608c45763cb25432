"""Messages to the database until a handler has run: each wakes two processes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from router.conf import QUEUES
from router.flow.cursor.streamed import Streamed
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.stream import serve
from router.flow.dispatch.dispatcher import Dispatcher
from router.flow.dispatch.queues import queue_of
from router.flow.dispatch.ring import Wanted
from router.flow.route.routing import route_batch
from router.models import Delivery, EventRecord, Subscriber, Turn
from router.public import publish
from tests.contract.letterbox import Letterbox
from tests.contract.steps import TYPE
from tests.integration.steps import dispatched, position_of, routed, silent, talking
from tests.receivers import Declare


@pytest.fixture
def listen(declare: Declare) -> Callable[..., Subscriber]:
    def known(handler: Any, **options: Any) -> Subscriber:
        row = declare(behave=handler, **options).row
        # Statements are built once: the first time is like no other.
        if row.is_streamed:
            routed()
            serve(row.pk)
        else:
            deliver_chunk(row.pk, dispatched())
        return row

    return known


def has_queue(row: Subscriber) -> bool:
    """What the dispatcher asks of a subscriber needs no further look at it."""
    return queue_of(row, ["router.slow"]) in QUEUES


def traced(work: Callable[[], object]) -> list[tuple[str, str]]:
    """What the driver sends (F) and gets (B), by its own trace."""
    connection.ensure_connection()
    session = connection.connection.pgconn
    with tempfile.TemporaryFile("w+") as trace:
        session.trace(trace.fileno())
        try:
            work()
        finally:
            session.untrace()
        trace.seek(0)
        lines = [line.rstrip().split("\t") for line in trace]
    return [(line[1], line[3]) for line in lines if len(line) > 3]


def messages(work: Callable[[], object]) -> int:
    # A pipeline ends with a Sync, for which alone the driver waits.
    lines = traced(work)
    return sum(way == "F" and kind in ("Query", "Sync") for way, kind in lines)


def rows(work: Callable[[], object]) -> int:
    return traced(work).count(("B", "DataRow"))


def test_an_event_takes_two_to_be_routed(listen: Callable[..., Subscriber]) -> None:
    row, kept = listen(silent), Streamed()
    for _ in range(2):
        publish(TYPE, {})
        Turn.objects.update(marked_until=None)
        issued = messages(lambda: route_batch(has_room=has_queue, streamed=kept))

    # All that is read, all that is written.
    assert issued == 2
    assert EventRecord.objects.filter(position=None).count() == 0
    assert Turn.objects.get(pk=row.pk).marked_until is not None


@pytest.mark.parametrize(
    ("handler", "count"),
    [
        # The lease, the acknowledgement.
        (silent, 2),
        # Between them BEGIN, a savepoint, and its own one.
        (talking, 5),
    ],
)
def test_a_delivery_takes_two_and_what_its_handler_says(
    listen: Callable[..., Subscriber], handler: Any, count: int
) -> None:
    pk = listen(handler, is_safe_concurrently=True).pk
    ids = dispatched()

    assert messages(lambda: deliver_chunk(pk, ids)) == count
    assert Delivery.objects.open().count() == 0


@pytest.mark.parametrize(("handler", "count"), [(silent, 2), (talking, 5)])
def test_a_chunk_of_the_stream_takes_two_and_what_its_handler_says(
    listen: Callable[..., Subscriber], handler: Any, count: int
) -> None:
    row = listen(handler)
    routed()

    assert messages(lambda: serve(row.pk)) == count
    assert position_of(row) == 2


def test_a_look_of_the_dispatcher_for_what_is_due_takes_one(declare: Declare) -> None:
    declare(behave=silent)
    declare("by_row", is_safe_concurrently=True)
    dispatcher = Dispatcher(Letterbox())

    # It knows nothing at first, and asks now and then what it may have missed.
    assert min(messages(dispatcher.turn) for _ in range(5)) == 1


@pytest.mark.parametrize("is_routed_by_another", [False, True])
def test_those_that_want_none_of_a_batch_are_not_read_for_it(
    listen: Callable[..., Subscriber], declare: Declare, is_routed_by_another: bool
) -> None:
    listen(silent)
    kept = Streamed(clock=lambda: 0.0)
    wanted = Wanted(kept)
    wanted.due()

    def read() -> int:
        publish(TYPE, {})
        if is_routed_by_another:
            route_batch()
            return rows(wanted.due)
        return rows(lambda: route_batch(has_room=has_queue, streamed=kept))

    # A dispatcher that has just begun takes more for granted.
    _, _, few = read(), read(), read()
    for n in range(20):
        declare(f"other_{n}", events=["other.happened"])
    # Once, since they are new.
    assert read() > few
    assert read() == few

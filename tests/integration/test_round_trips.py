"""Messages to the database until a handler has run: each wakes two processes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from router.conf import QUEUES
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.stream import serve
from router.flow.dispatch.queues import queue_of
from router.flow.route.routing import route_batch
from router.models import Delivery, EventRecord, Subscriber, Turn
from router.public import publish
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


def messages(work: Callable[[], object]) -> int:
    """How many the driver sends, by its own trace."""
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
    # A pipeline ends with a Sync, for which alone the driver waits.
    return sum(line[1:2] == ["F"] and line[3] in ("Query", "Sync") for line in lines)


def test_an_event_takes_two_to_be_routed(listen: Callable[..., Subscriber]) -> None:
    row = listen(silent)
    publish(TYPE, {})

    # All that is read, all that is written.
    assert messages(lambda: route_batch(has_room=has_queue)) == 2
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

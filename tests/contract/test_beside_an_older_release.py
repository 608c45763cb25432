"""A release that knows no cursors runs beside this one: nothing is lost or doubled."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from router.flow.heartbeats import beat
from router.flow.loop import DispatcherLoop
from router.flow.route.head import lock_head
from router.flow.route.streaming import start_waiting_streams
from router.models import Acknowledgement, Clock, Delivery, Heartbeat
from router.public import publish
from router.testing import deliver_due, register_declared
from tests.contract.letterbox import Letterbox
from tests.contract.steps import TYPE
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)

#: How the release before moves the head when it routes, and before it prunes.
WRITES = [
    "UPDATE router_loghead SET position = 7 WHERE id = 1",
    "UPDATE router_loghead SET pruned_to = 7 WHERE id = 1",
    "INSERT INTO router_loghead (id, position) VALUES (2, 0)",
]


def an_older_process(kind: Heartbeat.Kind = Heartbeat.Kind.WORKER) -> Heartbeat:
    return Heartbeat.objects.create(
        name=f"{kind}@host:1", kind=kind, beat_at=Clock(), knows_turns=False
    )


def by_row() -> int:
    return Delivery.objects.count()


def in_stream() -> int:
    return sum(Acknowledgement.objects.values_list("count", flat=True))


@pytest.mark.parametrize("statement", WRITES)
def test_it_can_not_route_or_prune(statement: str) -> None:
    """It would give deliveries of what a cursor reads, or delete what is owed."""
    with transaction.atomic():
        lock_head()
    with pytest.raises(DatabaseError, match="view"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_its_web_process_still_reads_and_locks_the_head() -> None:
    with transaction.atomic():
        head = lock_head()
        lock = "FOR UPDATE" if connection.vendor == "postgresql" else ""
        with connection.cursor() as cursor:
            columns = "id, position, pruned_to, pruned_number"
            cursor.execute(f"SELECT {columns} FROM router_loghead {lock}")
            row = cursor.fetchone()
    assert row == (head.pk, head.position, head.pruned_to, head.pruned_number)


@pytest.mark.parametrize("kind", [Heartbeat.Kind.WORKER, Heartbeat.Kind.DISPATCHER])
def test_no_stream_begins_before_the_last_of_its_processes_ended(
    declare: Declare, kind: Heartbeat.Kind
) -> None:
    """Its worker would run a handler beside a chunk of the stream."""
    older = an_older_process(kind)
    receiver = declare()
    publish(TYPE, {})
    deliver_due()
    start_waiting_streams()
    assert (receiver.row.is_streamed, by_row(), in_stream()) == (False, 1, 0)

    publish(TYPE, {})
    older.delete()
    start_waiting_streams()
    publish(TYPE, {})
    deliver_due()
    assert (receiver.row.is_streamed, by_row(), in_stream()) == (True, 1, 2)
    assert len(receiver.seen) == 3


def test_a_dispatcher_begins_the_streams_that_waited(declare: Declare) -> None:
    older = an_older_process()
    receiver = declare()
    older.delete()
    DispatcherLoop(Letterbox()).tick()  # type: ignore[arg-type]  # all that it uses
    assert receiver.row.is_streamed


def test_a_bridge_of_it_is_not_waited_for(declare: Declare) -> None:
    an_older_process(Heartbeat.Kind.BRIDGE)
    assert declare().row.is_streamed


def test_a_process_of_the_same_name_is_as_old_as_its_last_beat() -> None:
    older = an_older_process()
    beat(older.name, Heartbeat.Kind.WORKER)
    older.refresh_from_db()
    assert older.knows_turns


def test_a_handler_that_is_not_installed_here_is_left_as_it_is(
    declare: Declare,
) -> None:
    register_declared()
    row = declare("listener", is_safe_concurrently=True).row
    type(row).objects.create(name="elsewhere", title="Elsewhere", events=[TYPE])
    start_waiting_streams()
    streamed = type(row).objects.filter(is_streamed=True)
    assert not streamed.exists()

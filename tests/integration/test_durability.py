"""What waits for the disk on PostgreSQL, and what need not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from router.db import session
from router.flow.cursor.reading import next_chunk
from router.flow.deliver.claiming import claims
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.stream import serve
from router.flow.dispatch.dispatcher import Dispatcher, mark_chunk
from router.flow.dispatch.ring import mark_rung
from router.flow.route.routing import route_batch
from router.models import Delivery, Subscriber
from router.public import Event, publish
from tests.contract.letterbox import Letterbox
from tests.contract.steps import publish_and_route
from tests.receivers import Declare

UNWAITED = "set_config('synchronous_commit', 'off', TRUE)"


def waits_for_the_disk() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        (value,) = cursor.fetchone()
    return str(value)


@pytest.fixture
def owed(listener: Subscriber, declare: Declare) -> Subscriber:
    """Two subscribers that are owed one event: this one in the stream, one by a row."""
    declare("by_row", is_safe_concurrently=True)
    publish_and_route()
    return listener


def mark_a_row(_: Subscriber) -> object:
    return mark_chunk(Delivery.objects.get().subscriber)


def lease_a_row(_: Subscriber) -> object:
    delivery = Delivery.objects.get()
    return next(claims(delivery.subscriber_id, [delivery.pk]))


def mark(owed: Subscriber) -> object:
    return mark_rung([owed])


def lease(owed: Subscriber) -> object:
    return next_chunk(owed.pk)


@pytest.mark.parametrize("work", [mark_a_row, lease_a_row, mark, lease])
def test_not_waiting_ends_with_the_transaction_of_a_mark_or_a_lease(
    owed: Subscriber, work: Callable[[Subscriber], object]
) -> None:
    with transaction.atomic():
        assert work(owed) is not None
        assert waits_for_the_disk() == "off"
    assert waits_for_the_disk() == "on"


@pytest.mark.usefixtures("own_connection", "wariness")
@pytest.mark.parametrize("lease", [lease_a_row, lease])
def test_a_lease_waits_for_the_disk_for_a_while_after_a_session_was_lost(
    owed: Subscriber, lease: Callable[[Subscriber], object]
) -> None:
    session.drop_lost_session()
    with transaction.atomic():
        assert lease(owed) is not None
        assert waits_for_the_disk() == "on"


def test_the_lease_of_a_suspect_waits_for_the_disk(owed: Subscriber) -> None:
    Delivery.objects.update(vanished=1)

    with CaptureQueriesContext(connection) as captured:
        assert lease_a_row(owed) is not None

    # The healthy ones are asked for first, and there are none.
    leases = [sql for query in captured if "'LEASED'" in (sql := query["sql"])]
    healthy, *_, alone = [sql for sql in leases if "UPDATE" in sql]
    assert UNWAITED in healthy
    assert UNWAITED not in alone


def test_leases_and_marks_do_not_wait_and_settling_does(declare: Declare) -> None:
    seen: list[str] = []

    def handle(event: Event) -> None:
        seen.append(waits_for_the_disk())

    row = declare(behave=handle).row
    declare("by_row", behave=handle, is_safe_concurrently=True)
    with CaptureQueriesContext(connection) as committed:
        publish("thing.happened", {})
        route_batch()
    with CaptureQueriesContext(connection) as marked:
        Dispatcher(Letterbox()).turn()
    with CaptureQueriesContext(connection) as delivered:
        delivery = Delivery.objects.get()
        deliver_chunk(delivery.subscriber_id, [delivery.pk])
    with CaptureQueriesContext(connection) as served:
        serve(row.pk)

    counts = [
        sum(UNWAITED in query["sql"] for query in captured)
        for captured in (committed, marked, delivered, served)
    ]
    # Of the delivery, and of the Turn.
    assert counts == [0, 2, 1, 1]
    # The handler's transaction is the one that settles.
    assert seen == ["on", "on"]

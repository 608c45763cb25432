"""What waits for the disk on PostgreSQL, and what need not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from router.db import session
from router.flow.deliver.claiming import claims
from router.flow.deliver.delivering import deliver_chunk
from router.flow.dispatch.dispatcher import Dispatcher, mark_chunk
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
def owed(listener: Subscriber) -> Subscriber:
    """A subscriber that is owed one delivery."""
    publish_and_route()
    return listener


def lease(owed: Subscriber) -> object:
    return next(claims(owed.pk, [Delivery.objects.get().pk]))


@pytest.mark.parametrize("work", [mark_chunk, lease])
def test_not_waiting_ends_with_the_transaction_of_a_mark_or_a_lease(
    owed: Subscriber, work: Callable[[Subscriber], object]
) -> None:
    with transaction.atomic():
        assert work(owed) is not None
        assert waits_for_the_disk() == "off"
    assert waits_for_the_disk() == "on"


@pytest.mark.usefixtures("own_connection", "wariness")
def test_a_lease_waits_for_the_disk_for_a_while_after_a_session_was_lost(
    owed: Subscriber,
) -> None:
    session.drop_lost_session()
    with transaction.atomic():
        assert lease(owed) is not None
        assert waits_for_the_disk() == "on"


def test_the_lease_of_a_suspect_waits_for_the_disk(owed: Subscriber) -> None:
    Delivery.objects.update(vanished=1)

    with CaptureQueriesContext(connection) as captured:
        assert lease(owed) is not None

    # The healthy ones are asked for first, and there are none.
    healthy, *_, alone = [query["sql"] for query in captured if "SET" in query["sql"]]
    assert UNWAITED in healthy
    assert UNWAITED not in alone


def test_leases_and_marks_do_not_wait_and_settling_does(declare: Declare) -> None:
    seen: list[str] = []

    def handle(event: Event) -> None:
        seen.append(waits_for_the_disk())

    declare(behave=handle)
    with CaptureQueriesContext(connection) as committed:
        publish("thing.happened", {})
        route_batch()
    with CaptureQueriesContext(connection) as marked:
        Dispatcher(Letterbox()).turn()
    with CaptureQueriesContext(connection) as delivered:
        deliver_chunk(Subscriber.objects.get().pk, [Delivery.objects.get().pk])

    counts = [
        sum(UNWAITED in query["sql"] for query in captured)
        for captured in (committed, marked, delivered)
    ]
    assert counts == [0, 1, 1]
    # The handler's transaction is the one that settles.
    assert seen == ["on"]

"""What waits for the disk on PostgreSQL, and what need not."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from router.flow.delivering import deliver_chunk
from router.flow.dispatching import Dispatcher
from router.flow.routing import route_batch
from router.models import Delivery, Subscriber
from router.public import Event, publish, subscriber
from router.testing import isolated_subscribers, register_declared
from tests.contract.letterbox import Letterbox

UNWAITED = "set_config('synchronous_commit', 'off', TRUE)"


def waits_for_the_disk() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        (told,) = cursor.fetchone()
    return str(told)


def test_leases_and_marks_do_not_wait_and_settling_does(transactional_db: None) -> None:
    seen: list[str] = []

    def handle(event: Event) -> None:
        seen.append(waits_for_the_disk())

    with isolated_subscribers():
        subscriber("listener", events=["thing.happened"])(handle)
        register_declared()
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

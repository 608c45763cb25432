"""A worker keeps its connection over tasks: what if the database ended it meanwhile?"""

from __future__ import annotations

import pytest
from django.db import connection
from django.utils import timezone

from router.conf import conf
from router.db.session import is_wary
from router.flow.dispatch.chunk import Chunk
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.route.routing import route_batch
from router.flow.sweep import sweep
from router.models import Delivery, DeliveryState, FailedTask, Subscriber
from router.public import Event, publish
from router.tasks import deliver
from tests.receivers import Declare

pytestmark = [
    pytest.mark.usefixtures("own_connection", "wariness"),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite has no sessions"
    ),
]


def end_own_session() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (own,) = cursor.fetchone()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [own])
    finally:
        other.close()


@pytest.fixture
def sent(listener: Subscriber) -> Chunk:
    """A chunk that is on its way."""
    publish("thing.happened", {}, source="/test")
    route_batch()
    (due,) = subscribers_due()
    chunk = mark_chunk(due)
    assert chunk is not None
    return chunk


def test_the_first_task_after_the_database_ended_the_session_delivers(
    sent: Chunk,
) -> None:
    end_own_session()
    deliver(sent.subscriber.pk, sent.ids)
    assert Delivery.objects.get().state == DeliveryState.ACKNOWLEDGED
    assert is_wary()


def test_a_session_that_was_silent_is_not_asked_whether_it_is_there(
    sent: Chunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(connection, "is_usable", lambda: asked.append(True) or True)

    deliver(sent.subscriber.pk, sent.ids)

    assert Delivery.objects.get().state == DeliveryState.ACKNOWLEDGED
    assert asked == []
    assert not is_wary()


def test_an_event_with_which_the_session_is_lost_each_time_ends_by_its_count(
    declare: Declare,
) -> None:
    def crash(event: Event) -> None:
        end_own_session()
        Subscriber.objects.count()

    declare(behave=crash)
    publish("thing.happened", {}, source="/test")
    route_batch()
    (due,) = subscribers_due()
    pk = Delivery.objects.get().pk
    seen = []
    for _ in range(conf().max_lost_leases):
        deliver(due.pk, [pk])
        row = Delivery.objects.get()
        seen.append((row.state, row.vanished, row.failures))
        Delivery.objects.update(due_at=timezone.now())
    assert is_wary()
    deliver(due.pk, [pk])
    assert Delivery.objects.get().state == DeliveryState.LEASED
    Delivery.objects.update(leased_until=timezone.now())
    sweep()

    counts = range(1, conf().max_lost_leases + 1)
    assert seen == [(DeliveryState.PENDING, count, 0) for count in counts]
    assert Delivery.objects.get().state == DeliveryState.DEAD
    assert FailedTask.objects.count() == 1

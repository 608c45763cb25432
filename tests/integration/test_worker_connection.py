"""A worker keeps its connection over tasks: what if the database ended it meanwhile?"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from router.conf import conf
from router.db.session import is_wary
from router.flow.route.routing import route_batch
from router.flow.sweep import sweep
from router.models import Delivery, DeliveryState, FailedTask, Subscriber
from router.public import Event, publish
from router.tasks import deliver
from tests.contract.steps import TYPE, delivery_ids, fates
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


Sent = tuple[int, list[int]]


@pytest.fixture(params=["stream", "rows"])
def sent(declare: Declare, request: pytest.FixtureRequest) -> Sent:
    """What a message that is on its way says."""
    row = declare(is_safe_concurrently=request.param == "rows").row
    publish(TYPE, {}, source="/test")
    route_batch()
    return row.pk, delivery_ids()


def test_the_first_task_after_the_database_ended_the_session_delivers(
    sent: Sent,
) -> None:
    end_own_session()
    deliver(*sent)
    assert fates() == ["ACKNOWLEDGED"]
    assert is_wary()


def test_a_session_that_was_silent_is_not_asked_whether_it_is_there(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(connection, "is_usable", lambda: asked.append(True) or True)

    deliver(*sent)

    assert fates() == ["ACKNOWLEDGED"]
    assert asked == []
    assert not is_wary()


@pytest.mark.parametrize("is_streamed", [True, False])
def test_an_event_with_which_the_session_is_lost_each_time_ends_by_its_count(
    declare: Declare, is_streamed: bool
) -> None:
    def crash(event: Event) -> None:
        end_own_session()
        Subscriber.objects.count()

    pk = declare(behave=crash, is_safe_concurrently=not is_streamed).row.pk
    publish(TYPE, {}, source="/test")
    route_batch()
    seen = []
    for _ in range(conf().max_lost_leases):
        # In the stream it was alone, and is a suspect from then on.
        deliver(pk, Delivery.objects.values_list("pk", flat=True))
        row = Delivery.objects.get()
        seen.append((row.state, row.vanished, row.failures))
        Delivery.objects.update(due_at=timezone.now())
    assert is_wary()
    deliver(pk, [row.pk])
    assert Delivery.objects.get().state == DeliveryState.LEASED
    Delivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    sweep()

    counts = range(1, conf().max_lost_leases + 1)
    assert seen == [(DeliveryState.PENDING, count, 0) for count in counts]
    assert Delivery.objects.get().state == DeliveryState.DEAD
    assert FailedTask.objects.count() == 1

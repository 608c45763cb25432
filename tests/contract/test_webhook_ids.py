"""The `webhook-id`: one for each event, for ever; no two events share one."""

from __future__ import annotations

from django.core.management.color import no_style
from django.db import connection
from django.db.models import F

from router.models import Attempt, Delivery, EventRecord
from router.operate.resend import resend
from router.public import publish
from router.testing import deliver_due, skip_waits
from tests.contract.steps import TYPE, Subscribe
from tests.servers.receiving import Receiver, status


def restore_an_empty_backup() -> None:
    """Lose all events, as a restored backup from before them does."""
    Attempt.objects.all().delete()
    Delivery.objects.all().delete()
    EventRecord.objects.all().delete()
    table = {"table": EventRecord._meta.db_table, "column": "number"}
    with connection.cursor() as cursor:
        for sql in connection.ops.sequence_reset_by_name_sql(no_style(), [table]):
            cursor.execute(sql)


def test_an_event_that_takes_the_number_of_a_lost_one_has_an_id_of_its_own(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    restore_an_empty_backup()
    subscribe(receiver.url)
    lost = publish(TYPE, {"n": 1})
    deliver_due()
    restore_an_empty_backup()

    after = publish(TYPE, {"n": 2})
    deliver_due()

    assert after.number == lost.number
    first, second = (request.webhook_id for request in receiver.received)
    assert first != second


def test_an_event_published_again_after_it_was_lost_keeps_its_id(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    """A publisher that sends its outbox again must not double the receiver's work."""
    subscribe(receiver.url)
    for _ in range(2):
        publish(TYPE, {"n": 1}, id="order-1", source="/shop")
        deliver_due()
        restore_an_empty_backup()

    assert len(receiver.received) == 2
    assert len({request.webhook_id for request in receiver.received}) == 1


def test_it_stays_the_same_over_attempts_and_resends(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe(receiver.url)
    publish(TYPE, {"n": 1})
    receiver.behave = status(500)
    deliver_due()
    receiver.behave = status(204)
    skip_waits()
    deliver_due()
    resend(Delivery.objects.get().pk, by="command")
    deliver_due()

    assert len(receiver.received) == 3
    assert len({request.webhook_id for request in receiver.received}) == 1


def test_an_event_recorded_by_an_older_release_keeps_its_number(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe(receiver.url)
    number = publish(TYPE, {"n": 1}).number
    EventRecord.objects.update(is_webhook_id_derived=None)

    deliver_due()

    assert receiver.received[0].webhook_id == f"msg_{number}"


def test_a_receiver_can_not_count_the_events(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe(receiver.url)
    number = publish(TYPE, {"n": 1}).number
    EventRecord.objects.update(number=F("number") + 1_234_567)
    deliver_due()

    (received,) = receiver.received
    sent = f"{received.headers} {received.body.decode()}"
    assert str(number + 1_234_567) not in sent

"""The limit of open deliveries, for a subscriber that is served in the stream."""

from __future__ import annotations

from typing import Any

import pytest

from router.contract.errors import NotResendable
from router.flow.sweep import sweep_turns
from router.models import Cursor, Delivery, EventRecord, FailedTask
from router.operate.failed_tasks import retry
from router.operate.resend import resend_event
from router.public import Reject, RetryLater
from router.testing import deliver_due, skip_waits
from tests.contract.outages import Outage, acknowledged_count
from tests.contract.steps import publish_events
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at_most_ten(settings: Any) -> None:
    settings.ROUTER = {**settings.ROUTER, "MAX_OPEN": 10}


def notices() -> int:
    return EventRecord.objects.filter(type="router.subscriber.full").count()


@pytest.mark.usefixtures("at_most_ten")
def test_at_the_limit_the_cursor_stands_still_and_goes_on_below_it(
    declare: Declare,
) -> None:
    busy = Outage(RetryLater("busy", after_seconds=3600))
    receiver = declare("busy", busy)
    publish_events(30)

    deliver_due()
    sweep_turns()
    deliver_due()

    assert Delivery.objects.open().count() == 10
    assert Cursor.objects.get().position == 10
    assert len(receiver.seen) < 12
    assert notices() == 1

    busy.is_down = False
    Delivery.objects.order_by("pk")[0].delete()
    sweep_turns()
    deliver_due()
    assert Cursor.objects.get().position == 10

    skip_waits()
    deliver_due()
    sweep_turns()
    deliver_due()

    assert acknowledged_count() == 29
    assert notices() == 1


@pytest.mark.usefixtures("at_most_ten")
def test_nothing_is_retried_or_sent_again_beyond_the_limit(declare: Declare) -> None:
    outage = Outage(Reject("never"))
    receiver = declare("picky", outage)
    publish_events(12)
    deliver_due()
    outage.is_down = False
    publish_events()
    deliver_due()
    last = EventRecord.objects.filter(type="thing.happened").latest("pk")

    settled = retry(FailedTask.objects.values_list("pk", flat=True), by="user olga")

    assert (len(settled.settled), len(settled.refused)) == (10, 2)
    assert "10 open deliveries" in settled.refused[0][1]
    with pytest.raises(NotResendable, match="10 open deliveries"):
        resend_event(last.pk, receiver.row.pk, by="user olga")
    deliver_due()
    assert resend_event(last.pk, receiver.row.pk, by="user olga").run == 1

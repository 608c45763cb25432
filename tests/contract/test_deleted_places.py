"""What the log keeps of a deleted subscriber, and until when."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from router.flow.cancel import cancel_owed_to_deleted
from router.flow.cursor.deleted import delete_places_of_deleted
from router.flow.prune import Walk
from router.models import Acknowledgement, Cursor, Delivery, EventRecord, Period
from router.observe.outcome import outcomes_of
from router.operate.subscribers import create_subscriber, delete_subscriber
from router.registry import isolated
from router.testing import deliver_due
from tests.contract.steps import publish_events
from tests.contract.stream_steps import is_measured
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)


def acknowledged_count() -> int:
    """As the events' pages show it."""
    events = list(EventRecord.objects.all())
    return len(outcomes_of(events, Delivery.objects.all()).by_cursor)


def test_its_cursor_stays_as_long_as_the_events_that_it_acknowledged(
    declare: Declare,
) -> None:
    gone = declare("gone")
    is_measured()
    publish_events(3)
    deliver_due()
    with isolated():
        delete_subscriber(gone.row, by="olga")
    cancel_owed_to_deleted()

    assert delete_places_of_deleted() == 0
    assert acknowledged_count() == 3

    EventRecord.objects.update(recorded_at=timezone.now() - timedelta(days=9))
    walk = Walk(days=8)
    while walk.step():
        pass
    assert not Acknowledgement.objects.exists()
    assert delete_places_of_deleted() == 1
    assert not Cursor.objects.exists()
    assert not Period.objects.exists()
    assert delete_places_of_deleted() == 0


def test_a_subscriber_that_is_known_keeps_its_place(declare: Declare) -> None:
    declare()
    gone = create_subscriber("gone", by="olga", transport="pull").subscriber
    publish_events(1)
    deliver_due()
    # It is owed an event: that is cancelled first.
    delete_subscriber(gone, by="olga")
    cancel_owed_to_deleted()

    assert delete_places_of_deleted() == 1

    assert [row.subscriber.name for row in Cursor.objects.all()] == ["listener"]
    assert [row.subscriber.name for row in Period.objects.all()] == ["listener"]
    deliver_due()
    assert acknowledged_count() == 1

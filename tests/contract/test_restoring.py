"""A backup is restored: what it says was not acknowledged is done again, once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from django.core.management.commands.flush import Command
from django.utils import timezone

from router.flow.cursor.reading import next_chunk
from router.flow.sweep import sweep_turns
from router.models import AuditEntry, Cursor, EventRecord, Turn
from router.public import Event, publish
from router.testing import deliver_due, route
from tests.contract.steps import TYPE
from tests.flush import QuickFlush
from tests.receivers import Declare, Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def insert(event: Event) -> None:
    """An effect in the same database."""
    AuditEntry.objects.create(action="effect", target=event.id)


def effects() -> Counter[str]:
    entries = AuditEntry.objects.filter(action="effect")
    return Counter(entries.values_list("target", flat=True))


def send(*numbers: int) -> None:
    for number in numbers:
        publish(TYPE, {}, id=f"order-{number}")


def orders(*numbers: int) -> Counter[str]:
    return Counter(f"order-{number}" for number in numbers)


@pytest.fixture
def receiver(declare: Declare) -> Receiver:
    return declare(behave=insert)


def end_the_lease() -> None:
    past = timezone.now() - timedelta(seconds=1)
    Turn.objects.filter(token__isnull=False).update(leased_until=past)
    sweep_turns()


def test_a_backup_with_a_chunk_under_way(receiver: Receiver) -> None:
    send(1, 2, 3)
    deliver_due()
    send(4, 5, 6)
    route()
    assert next_chunk(receiver.row.pk) is not None
    backup = QuickFlush()
    end_the_lease()
    send(7)
    deliver_due()
    assert effects() == orders(1, 2, 3, 4, 5, 6, 7)

    backup(Command())
    assert effects() == orders(1, 2, 3)
    end_the_lease()
    deliver_due()

    assert effects() == orders(1, 2, 3, 4, 5, 6)
    assert Cursor.objects.get().position == 6
    # Outside the database the effects of these happened twice, under the same id.
    seen = Counter(event.id for event in receiver.seen)
    assert seen == orders(1, 2, 3, 4, 4, 5, 5, 6, 6, 7)


def test_what_was_published_since_may_be_sent_again(receiver: Receiver) -> None:
    send(1)
    deliver_due()
    backup = QuickFlush()
    send(2, 3)
    deliver_due()

    backup(Command())
    deliver_due()
    assert effects() == orders(1)
    send(3, 2)
    deliver_due()

    assert effects() == orders(1, 2, 3)
    positions = EventRecord.objects.order_by("position").values_list("position")
    assert list(positions) == [(1,), (2,), (3,)], "given anew, in the order of now"

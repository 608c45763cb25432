"""Served in the stream: by position, a row only for what was set aside."""

from __future__ import annotations

import pytest

from router.models import (
    Acknowledgement,
    Attempt,
    Cursor,
    Delivery,
    DeliveryState,
    FailedTask,
    Turn,
)
from router.public import Event, publish
from router.testing import deliver_due, skip_waits
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)


def send(count: int, **more: object) -> None:
    for index in range(count):
        publish("thing.happened", {"index": index, **more}, source="/test")


def indexes(events: list[Event]) -> list[int]:
    return [event.data["index"] for event in events]


def cursor() -> Cursor:
    return Cursor.objects.get()


def test_events_are_acknowledged_without_a_row_each(declare: Declare) -> None:
    receiver = declare()
    send(7)
    assert deliver_due() == 7
    assert indexes(receiver.seen) == list(range(7))
    assert not Delivery.objects.exists()
    assert not Attempt.objects.exists()
    assert cursor().position == 7
    assert sum(Acknowledgement.objects.values_list("count", flat=True)) == 7
    turn = Turn.objects.get()
    assert (turn.token, turn.leased_until, turn.leased_count) == (None, None, 0)


def test_a_failed_event_is_set_aside_and_the_others_go_on(declare: Declare) -> None:
    def fail_on_three(event: Event) -> None:
        if event.data["index"] == 3 and not event.data.get("is_well"):
            raise ValueError("three")

    declare(behave=fail_on_three, max_failures=2)
    send(1)
    deliver_due()
    send(6)
    deliver_due()
    row = Delivery.objects.get()
    assert row.event.data["index"] == 3
    assert (row.state, row.attempts, row.failures) == (DeliveryState.PENDING, 1, 1)
    assert cursor().position == 7
    rows = Acknowledgement.objects.order_by("first")
    covered = list(rows.values_list("first", "last"))
    assert covered == [(1, 1), (2, 4), (6, 7)]
    skip_waits()
    deliver_due()
    assert FailedTask.objects.get().delivery == row


def test_other_types_are_passed_over(declare: Declare) -> None:
    receiver = declare()
    send(1)
    publish("other.happened", {}, source="/test")
    deliver_due()
    send(1)
    publish("other.happened", {}, source="/test")
    assert deliver_due() == 1
    assert len(receiver.seen) == 2
    assert cursor().position == 4

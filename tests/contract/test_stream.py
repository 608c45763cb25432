"""Served in the stream: by position, a row only for what was set aside."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from router.flow.cursor import reading
from router.flow.cursor.reading import next_chunk
from router.flow.deliver.stream import serve
from router.flow.route.head import lock_head
from router.flow.route.periods import begin_period
from router.flow.route.routing import route_batch
from router.flow.route.streaming import start_streaming
from router.models import (
    Acknowledgement,
    Attempt,
    BreakerState,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    Period,
    Subscriber,
)
from router.operate.failed_tasks import retry
from router.operate.test_event import send_test_event
from router.public import Event, RetryLater, publish
from router.testing import deliver_due, skip_waits
from tests.contract.steps import (
    TYPE,
    fates,
    let_the_turn_run_out,
    publish_and_route,
    publish_events,
)
from tests.contract.stream_steps import (
    cursor,
    give_back,
    is_measured,
    turn,
)
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)

#: Passes events about this subject, and raises at all others.
READING = {"exact": {"data.kind": "good"}}


def send(count: int, **more: object) -> None:
    for index in range(count):
        publish(TYPE, {"index": index, **more}, source="/test")


def indexes(events: list[Event]) -> list[int]:
    return [event.data["index"] for event in events]


def covered() -> list[tuple[int, int]]:
    rows = Acknowledgement.objects.order_by("first")
    return list(rows.values_list("first", "last"))


def asks_for(*events: str, filter: dict[str, Any] | None = None) -> None:
    """From now on."""
    Subscriber.objects.update(events=events, filter=filter)
    with transaction.atomic():
        begin_period(Subscriber.objects.get(), lock_head())


def test_events_are_acknowledged_without_a_row_each(declare: Declare) -> None:
    receiver = declare()
    send(7)
    assert deliver_due() == 7
    assert indexes(receiver.seen) == list(range(7))
    assert not Delivery.objects.exists()
    assert not Attempt.objects.exists()
    assert cursor().position == 7
    assert sum(Acknowledgement.objects.values_list("count", flat=True)) == 7
    assert (turn().token, turn().leased_until, turn().leased_count) == (None, None, 0)


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
    assert covered() == [(1, 1), (2, 4), (6, 7)]
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


def test_more_events_of_other_types_than_a_look_spans_hide_none(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SPAN", 3)
    receiver = declare()
    for _ in range(7):
        publish("other.happened", {}, source="/test")
    send(2)
    for _ in range(4):
        publish("other.happened", {}, source="/test")
    while route_batch().event_count:
        pass
    looked_to = []
    while (chunk := next_chunk(receiver.row.pk)) and not chunk.events:
        looked_to.append(cursor().position)
        assert turn().token is None
    assert looked_to == [3, 6]
    assert chunk is not None
    give_back(chunk)

    deliver_due()

    assert indexes(receiver.seen) == [0, 1]
    assert cursor().position == 13


def test_a_claim_ends_at_the_head_of_its_own_look(declare: Declare) -> None:
    """What is routed once a chunk was read is not passed over with its last event."""
    receiver = declare()
    is_measured()
    publish_and_route(2)
    taken = next_chunk(receiver.row.pk)
    assert taken is not None
    publish_and_route(1)
    assert (taken.until, taken.head, len(taken.events)) == (2, 2, 2)
    let_the_turn_run_out()
    deliver_due()
    assert len(receiver.seen) == 3


def test_an_event_is_judged_by_what_was_asked_for_at_its_position(
    declare: Declare,
) -> None:
    receiver = declare()
    is_measured()
    send(2)
    publish("other.happened", {"index": 10}, source="/test")
    while route_batch().event_count:
        pass
    asks_for("other.*")
    send(2)
    publish("other.happened", {"index": 11}, source="/test")
    while route_batch().event_count:
        pass
    asks_for("other.*", filter={"exact": {"subject": "good"}})
    publish("other.happened", {"index": 12}, source="/test")
    publish("other.happened", {"index": 13}, subject="good", source="/test")

    deliver_due()

    assert indexes(receiver.seen) == [0, 1, 11, 13]
    assert Period.objects.count() == 3
    assert cursor().position == EventRecord.objects.count()


def test_an_event_for_one_alone_is_for_it_whatever_it_asks_for(
    declare: Declare,
) -> None:
    first, second = declare("first"), declare("second")
    Subscriber.objects.update(events=["router.test"])
    Subscriber.objects.update(filter={"exact": {"subject": "never"}})
    with transaction.atomic():
        for row in Subscriber.objects.all():
            begin_period(row, lock_head())
    send_test_event(first.row.pk, by="olga")

    deliver_due()

    acknowledged = Acknowledgement.objects.get()
    assert acknowledged.cursor.subscriber == first.row
    assert (acknowledged.count, second.seen) == (1, [])


def test_what_a_filter_rejects_is_passed_over(declare: Declare) -> None:
    receiver = declare()
    is_measured()
    asks_for(TYPE, filter={"exact": {"subject": "good"}})
    for index, subject in enumerate(["bad", "good", "bad", "good", "bad"]):
        publish(TYPE, {"index": index}, subject=subject, source="/test")
    deliver_due()
    assert indexes(receiver.seen) == [1, 3]
    assert Acknowledgement.objects.get().count == 2
    assert (cursor().position, turn().token) == (5, None)


def test_a_filter_that_raises_gives_up_its_event_alone(declare: Declare) -> None:
    receiver = declare()
    is_measured()
    asks_for(TYPE, filter=READING)
    subjects = ["good", *["bad"] * 7, "good", "bad"]
    for index, subject in enumerate(subjects):
        data = {"index": index, "kind": "good"}
        publish(TYPE, data, subject=subject, source="/test")
    # What can't be read is no JSON for the filter.
    EventRecord.objects.filter(subject="bad").update(data_encoding="base64")

    deliver_due()

    assert indexes(receiver.seen) == [0, 8]
    assert FailedTask.objects.filter(error__startswith="FilterFailed").count() == 8
    assert fates()[:10].count("DEAD") == 8
    # Nobody asked the receiver: it is well, and nothing was attempted.
    assert receiver.row.breaker == BreakerState.CLOSED
    assert not Attempt.objects.exists()
    assert turn().token is None


def test_what_was_set_aside_is_acknowledged_by_a_later_attempt(
    declare: Declare,
) -> None:
    is_well: list[bool] = []

    def recover(event: Event) -> None:
        if not is_well:
            raise ValueError("not yet")

    declare(behave=recover, max_failures=8)
    publish_events(1)
    deliver_due()
    assert fates() == ["PENDING"]
    is_well.append(True)
    skip_waits()
    deliver_due()
    assert fates() == ["ACKNOWLEDGED"]
    assert not Acknowledgement.objects.exists()
    results = Attempt.objects.order_by("pk").values_list("number", "result")
    assert list(results) == [(1, "RETRY"), (2, "ACKNOWLEDGED")]


def test_a_failed_task_of_the_stream_can_be_retried(declare: Declare) -> None:
    is_well: list[bool] = []

    def recover(event: Event) -> None:
        if not is_well:
            raise ValueError("not yet")

    declare(behave=recover, max_failures=1)
    publish_events(1)
    deliver_due()
    failed = FailedTask.objects.get()
    assert fates() == ["DEAD"]
    is_well.append(True)
    assert retry([failed.pk], by="command").settled
    deliver_due()
    assert fates() == ["ACKNOWLEDGED"]


def test_what_asks_for_a_later_attempt_gets_it_and_counts_nothing(
    declare: Declare,
) -> None:
    def later(event: Event) -> None:
        raise RetryLater(after_seconds=3600)

    declare(behave=later)
    publish_events(1)
    deliver_due()
    row = Delivery.objects.get()
    assert (row.state, row.failures) == (DeliveryState.PENDING, 0)
    assert (row.due_at - timezone.now()).total_seconds() > 3000


def test_a_handler_starts_no_faster_than_an_operator_allows(declare: Declare) -> None:
    listener = declare()
    is_measured(rate_per_second=0.05)
    publish_and_route(3)

    serve(listener.row.pk)

    assert len(listener.seen) == 1
    assert listener.row.paced_until is not None
    wait = (listener.row.paced_until - timezone.now()).total_seconds()
    assert 0 < wait <= 20
    # Neither the cursor's next chunk nor a message that comes late may start.
    assert next_chunk(listener.row.pk) is None
    assert deliver_due() == 0
    skip_waits()
    assert next_chunk(listener.row.pk) is not None


def test_code_with_effects_elsewhere_does_not_serve_a_stream(
    declare: Declare,
) -> None:
    """A worker of the next release is here before its dispatcher is."""
    listener = declare(is_transactional=False)
    Subscriber.objects.update(is_transactional=True)
    with transaction.atomic():
        start_streaming(listener.row, lock_head())
    publish_and_route(1)
    serve(listener.row.pk)
    assert listener.seen == []
    assert (turn().token, cursor().position) == (None, 0)


def test_a_pause_of_the_subscriber_holds_its_cursor(declare: Declare) -> None:
    listener = declare()
    publish_and_route(2)
    Subscriber.objects.update(state="paused")
    serve(listener.row.pk)
    assert (listener.seen, cursor().position) == ([], 0)

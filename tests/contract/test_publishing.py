"""What is published is recorded once, and reaches every subscriber that wants it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router.contract.errors import CausationTooDeep, EventConflict, InvalidEvent
from router.flow.publish.causation import Cause, caused
from router.models import (
    Acknowledgement,
    Clock,
    EventRecord,
)
from router.operate.test_event import send_test_event
from router.public import Event, publish
from router.testing import acknowledged, deliver_due, is_settled, skip_waits
from tests.contract.steps import TYPE, publish_events
from tests.receivers import Declare


def publish_and_roll_back() -> None:
    with transaction.atomic():
        publish_events()
        transaction.set_rollback(True)


def test_an_event_reaches_every_subscriber_that_wants_it(declare: Declare) -> None:
    first, two = declare("one"), declare("two", events=["thing.*"])
    other = declare("other", events=["purchase.completed"])

    publish_events()

    assert deliver_due() == 2
    assert [len(first.seen), len(two.seen), len(other.seen)] == [1, 1, 0]
    assert is_settled()
    assert acknowledged().count == 2
    assert first.seen[0].data == {"n": 0}
    assert first.row.last_acknowledged_at is not None


def test_what_is_rolled_back_nobody_hears_of(declare: Declare) -> None:
    listener = declare()

    publish_and_roll_back()

    assert deliver_due() == 0
    assert listener.seen == []


def test_positions_have_no_gaps_though_numbers_have(declare: Declare) -> None:
    declare()
    publish_events(2)
    publish_and_roll_back()
    publish_events(2)

    deliver_due()

    positions = EventRecord.objects.order_by("number").values_list("position")
    assert [position for (position,) in positions] == [1, 2, 3, 4]


@pytest.mark.parametrize("same_call", [True, False])
def test_the_same_event_twice_is_recorded_once(
    declare: Declare, same_call: bool
) -> None:
    listener = declare()

    first = publish(TYPE, {"a": 1, "b": 2}, source="/x", id="1")
    if not same_call:
        deliver_due()
    second = publish(TYPE, {"b": 2, "a": 1}, source="/x", id="1")

    assert (first.number, first.is_new) == (second.number, not second.is_new)
    deliver_due()
    assert len(listener.seen) == 1


def test_the_same_id_with_another_body_is_refused_and_the_transaction_lives(
    declare: Declare,
) -> None:
    publish(TYPE, {"n": 1}, source="/x", id="1")

    with transaction.atomic():
        with pytest.raises(EventConflict):
            publish(TYPE, {"n": 2}, source="/x", id="1")
        publish(TYPE, {"n": 2}, source="/x", id="2")

    assert EventRecord.objects.count() == 2


@pytest.mark.parametrize(
    ("envelope", "pointer"),
    [
        ({"type": ""}, "/type"),
        ({"id": "x" * 256}, "/id"),
        ({"subject": "a\nb"}, "/subject"),
        ({"traceparent": "00-0-0-0"}, "/traceparent"),
        ({"extensions": {"Not OK": "x"}}, "/Not OK"),
        ({"data": {"a": float("nan")}}, "/data"),
        ({"data": {"a": "\x00"}}, "/data"),
        ({"data": {"a": object()}}, "/data"),
        ({"time": timezone.now().replace(tzinfo=None)}, "/time"),
    ],
)
def test_an_event_that_breaks_the_rules_is_refused_with_a_pointer(
    transactional_db: None, envelope: dict[str, object], pointer: str
) -> None:
    given = {"type": TYPE, "data": {}, **envelope}

    with pytest.raises(InvalidEvent) as caught:
        publish(given.pop("type"), given.pop("data"), **given)

    assert pointer in [place for place, _ in caught.value.problems]
    assert not EventRecord.objects.exists()


def test_a_backslash_before_u0000_is_just_text(transactional_db: None) -> None:
    assert publish(TYPE, {"a": "\\u0000"}).is_new


def test_what_is_published_in_a_handler_is_published_once(declare: Declare) -> None:
    """The first run publishes and fails; the second publishes the same event."""
    fails = [True]

    def publish_and_fail(event: Event) -> None:
        publish("parcel.sent", {})
        if fails:
            fails.pop()
            raise ValueError("after publishing")

    declare(behave=publish_and_fail, is_transactional=False)
    heard = declare("heard", events=["parcel.sent"])
    publish_events()

    deliver_due()
    skip_waits()
    deliver_due()

    assert len(heard.seen) == 1
    original = EventRecord.objects.get(type=TYPE)
    assert heard.seen[0].traceparent[3:35] == original.traceparent[3:35]


def test_events_in_a_circle_end(declare: Declare) -> None:
    refused: list[Exception] = []

    def echo(event: Event) -> None:
        try:
            publish(TYPE, {})
        except CausationTooDeep as error:
            refused.append(error)

    listener = declare(behave=echo)
    publish_events()

    deliver_due()

    assert len(listener.seen) == 33
    assert len(refused) == 1


def test_a_test_event_goes_all_the_way_without_side_effects(declare: Declare) -> None:
    listener, other = declare(), declare("other", events=["*"])

    send_test_event(listener.row.pk, by="user olga")

    assert deliver_due() == 1
    assert (listener.seen, other.seen) == ([], [])
    [done] = Acknowledgement.objects.all()
    assert (done.cursor.subscriber, done.count) == (listener.row, 1)


def test_publishing_is_one_statement_whatever_listens(
    declare: Declare, django_assert_num_queries: object
) -> None:
    for n in range(5):
        declare(f"listener_{n}")
    publish_events()  # The first in a process reads the registered schemas.

    with django_assert_num_queries(1):
        publish(TYPE, {})


def asks_for_a_double(id: str | None = None) -> bool:
    with CaptureQueriesContext(connection) as captured:
        publish(TYPE, {}, id=id)
    return "ON CONFLICT" in captured.captured_queries[-1]["sql"]


def test_only_an_event_that_may_be_there_is_looked_for(transactional_db: None) -> None:
    cause = Cause(event=publish(TYPE, {}).event, subscriber="one", depth=0)

    assert not asks_for_a_double()
    assert asks_for_a_double(id="1")
    with caused() as set_cause:
        # A second run of the handler derives the same id.
        set_cause(cause)
        assert asks_for_a_double()


def test_the_clock_is_the_database_s_and_moves(transactional_db: None) -> None:
    publish(TYPE, {})
    with transaction.atomic():
        first, two = (
            EventRecord.objects.annotate(now=Clock()).first().now for _ in range(2)
        )

    assert first <= two
    assert abs(timezone.now() - two) < timedelta(seconds=30)

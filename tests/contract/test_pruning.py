"""What is old goes, and what is owed stays, however old it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.db.models import Q
from django.utils import timezone

from router.contract.errors import NotResendable
from router.flow import prune
from router.flow.loop import DispatcherLoop
from router.flow.prune import Retention, Walk
from router.models import (
    Attempt,
    Delivery,
    EventRecord,
    FailedTask,
    LogHead,
)
from router.operate.resend import resend
from router.public import publish
from router.testing import deliver_due, register_declared, route
from tests.contract.letterbox import Letterbox
from tests.contract.steps import TYPE, statements
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
from tests.receivers import Declare

DAYS = 30
#: Of one step.
MAX_STATEMENTS = 22


@pytest.fixture(autouse=True)
def log(declare: Declare) -> None:
    """An empty log with its head."""
    register_declared()


def age(days: float = DAYS + 1, **conditions: Any) -> None:
    at = timezone.now() - timedelta(days=days)
    EventRecord.objects.filter(**conditions).update(recorded_at=at)


def walk(**options: Any) -> Walk:
    """A whole walk."""
    made = Walk(DAYS, **options)
    while made.step():
        pass
    return made


def numbers() -> set[int]:
    return set(EventRecord.objects.values_list("number", flat=True))


def settled(count: int = 1) -> list[EventRecord]:
    """Old events that are owed to nobody."""
    subscriber = a_subscriber("settled")
    events = [an_event() for _ in range(count)]
    for event in events:
        a_delivery(event, subscriber, "ACKNOWLEDGED")
    age(number__in=[event.number for event in events])
    return events


def head() -> tuple[int, int]:
    row = LogHead.objects.get()
    return row.pruned_to, row.pruned_number


def row_counts() -> list[int]:
    models = (EventRecord, Delivery, Attempt, FailedTask)
    return [model.objects.count() for model in models]


def with_deliveries(*states: str, settled: str = "") -> Callable[[], None]:
    """An event with deliveries in these states, and perhaps a failed task."""

    def make() -> None:
        event = an_event()
        for place, state in enumerate(states):
            delivery = a_delivery(event, a_subscriber(f"listener-{place}"), state)
            Attempt.objects.create(
                delivery=delivery, number=1, result="RETRY", ended_at=timezone.now()
            )
            if settled:
                a_failed_task(delivery, state=settled)

    return make


@pytest.mark.parametrize(
    ("make", "days_old", "is_kept"),
    [
        (with_deliveries("ACKNOWLEDGED"), DAYS - 1, True),
        (with_deliveries("ACKNOWLEDGED"), DAYS + 1, False),
        (with_deliveries("ACKNOWLEDGED", "CANCELLED"), DAYS + 1, False),
        (with_deliveries(), DAYS + 1, False),
        (lambda: an_event(is_routed=False), DAYS + 1, True),
        (with_deliveries("ACKNOWLEDGED", "PENDING"), 1000, True),
        (with_deliveries("LEASED"), 1000, True),
        (with_deliveries("DEAD", settled="open"), 1000, True),
        (with_deliveries("DEAD"), 1000, True),
        (with_deliveries("CANCELLED", settled="open"), 1000, True),
        (with_deliveries("CANCELLED", settled="discarded"), DAYS + 1, False),
        (with_deliveries("ACKNOWLEDGED", settled="retried"), DAYS + 1, False),
        (with_deliveries("PENDING", settled="retried"), DAYS + 1, True),
    ],
)
def test_an_event_goes_whole_or_stays_whole(
    make: Callable[[], object], days_old: float, is_kept: bool
) -> None:
    make()
    age(days_old)
    before = row_counts()

    dry, head_before = walk(is_dry_run=True).pruned, head()
    assert (row_counts(), head()) == (before, head_before), "a dry run changes nothing"
    pruned = walk().pruned

    assert row_counts() == (before if is_kept else [0, 0, 0, 0])
    assert dry == pruned
    assert sum(pruned.rows.values()) == (0 if is_kept else sum(before))
    is_routed = EventRecord.objects.filter(position=None).count() == 0
    assert pruned.held_count == (is_kept and days_old > DAYS and is_routed)


def test_what_is_missing_lies_at_or_below_the_mark() -> None:
    first, second, third = settled(3)
    age(1, number=third.number)
    Delivery.objects.filter(event=first).update(state="PENDING")
    assert head() == (0, 0)

    walk()
    assert numbers() == {first.number, third.number}
    assert head() == (second.position, second.number)

    Delivery.objects.update(state="ACKNOWLEDGED")
    walk()
    assert numbers() == {third.number}
    assert head() == (second.position, second.number), "it never falls"


def test_events_of_the_same_moment_go_together() -> None:
    """The database may name any of them as the last old one."""
    middle = settled(60)[30].number
    at = timezone.now() - timedelta(days=DAYS + 1)
    # PostgreSQL finds the row first that was written last.
    for part in (Q(number__gt=middle), Q(number__lte=middle)):
        EventRecord.objects.filter(part).update(recorded_at=at)

    assert walk().pruned.rows["events"] == 60


def test_young_events_among_the_old_ones_end_no_walk() -> None:
    """A clock was wrong for a while."""
    events = settled(60)
    young = {event.number for event in events[:30]}
    age(-1000, number__in=young)

    walk()

    assert numbers() == young


def test_a_walk_says_what_it_deleted_and_who_holds_what_is_left() -> None:
    first, second, third = settled(3)
    age(100, number=second.number)
    held_by = a_subscriber("paused")
    for event in (first, third):
        a_delivery(event, held_by)

    pruned = walk().pruned

    assert pruned.rows == {
        "events": 1, "deliveries": 1, "attempts": 0, "failed tasks": 0,
        "acknowledgements": 0, "ingress failed tasks": 0,
    }  # fmt: skip
    second_at = timezone.now() - timedelta(days=100)
    assert pruned.first_at == pruned.last_at
    assert pruned.first_at is not None
    assert abs(pruned.first_at - second_at) < timedelta(minutes=5)
    assert (pruned.held_count, pruned.held_by) == (2, {held_by.pk: 2})


@pytest.mark.parametrize(
    ("seconds", "sizes"),
    [
        # Ever in time: twice as many, up to the most.
        (3600, [10, 20, 25, 25]),
        # Never in time: fewer, down to one.
        (1e-9, [10, 1, 1, 1]),
    ],
)
def test_a_step_is_as_large_as_its_time_allows(
    monkeypatch: pytest.MonkeyPatch, seconds: float, sizes: list[int]
) -> None:
    monkeypatch.setattr(prune, "MAX_EVENTS", 25)
    settled(100)
    made = Walk(DAYS, seconds=seconds)

    positions = [made.position]
    for _ in sizes:
        assert made.step()
        positions.append(made.position)

    assert [b - a for a, b in pairwise(positions)] == sizes
    assert EventRecord.objects.count() == 100 - sum(sizes)


def test_statements_grow_neither_with_the_events_nor_with_their_rows() -> None:
    events = settled(30)
    for place in range(20):
        subscriber = a_subscriber(f"listener-{place}")
        for event in events[10:]:
            delivery = a_delivery(event, subscriber, "ACKNOWLEDGED")
            earlier = a_failed_task(delivery, state="retried")
            a_failed_task(delivery, state="retried", previous=earlier)
    made = Walk(DAYS, seconds=3600)

    few, many = statements(made.step), statements(made.step)

    assert (few, many) == (few, few)
    assert few <= MAX_STATEMENTS
    assert numbers() == set()


def test_a_pruned_event_that_is_published_again_is_a_new_one(declare: Declare) -> None:
    receiver = declare("listener")
    first = publish(TYPE, {}, id="order-1")
    deliver_due()
    age()
    walk()

    second = publish(TYPE, {"other": "body"}, id="order-1")
    deliver_due()

    assert (second.is_new, second.number > first.number) == (True, True)
    assert len(receiver.seen) == 2


def test_an_event_that_is_pruned_while_it_is_published_again_is_a_new_one() -> None:
    """Between the INSERT that it stops and the look at what stopped it."""
    publish(TYPE, {}, id="order-1")
    route()
    age()
    insertions: list[str] = []

    def prune_behind_it(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if sql.startswith('INSERT INTO "router_eventrecord"'):
            insertions.append(sql)
            if len(insertions) == 1:
                walk()
        return result

    with connection.execute_wrapper(prune_behind_it):
        published = publish(TYPE, {}, id="order-1")

    assert len(insertions) == 2
    assert published.is_new
    assert numbers() == {published.number}


def test_what_was_pruned_can_not_be_sent_again() -> None:
    settled()
    (pk,) = Delivery.objects.values_list("pk", flat=True)
    walk()

    with pytest.raises(NotResendable, match="pruned"):
        resend(pk, by="test")


def test_a_dispatcher_prunes_in_steps_with_rests_between(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(40)
    retention = Retention()
    retention.turn()
    assert len(numbers()) == 40, "by default all is kept"

    settings.ROUTER = {**settings.ROUTER, "KEEP_EVENTS_DAYS": DAYS}
    monkeypatch.setattr(prune, "REST_FACTOR", 0)
    retention.turn()
    assert 0 < len(numbers()) < 40
    for _ in range(100):
        retention.turn()
    assert numbers() == set()

    age(number__in=[event.number for event in [an_event()]])
    retention.turn()
    assert len(numbers()) == 1, "the next walk waits"


def test_a_turn_of_the_dispatcher_prunes(settings: Any) -> None:
    settled()
    settings.ROUTER = {**settings.ROUTER, "KEEP_EVENTS_DAYS": DAYS}

    DispatcherLoop(Letterbox()).tick()  # type: ignore[arg-type]  # all that it uses

    assert numbers() == set()


def test_a_database_that_fails_a_step_does_not_fail_the_dispatcher(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settled()
    settings.ROUTER = {**settings.ROUTER, "KEEP_EVENTS_DAYS": DAYS}
    retention = Retention()

    def refuse(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("DELETE"):
            raise DatabaseError("no")
        return execute(sql, *rest)

    with connection.execute_wrapper(refuse):
        retention.turn()
        retention.turn()

    assert caplog.messages == ["Old events were not pruned: DatabaseError"]
    assert len(numbers()) == Delivery.objects.count() == 1

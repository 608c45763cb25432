"""However pruning is interleaved, nothing owed is deleted, and nothing in part."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from router.contract.errors import NotResendable
from router.flow.cursor.acknowledgements import merge
from router.flow.prune import Walk
from router.flow.pull import settling
from router.models import (
    Acknowledgement,
    Attempt,
    Cursor,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    LogHead,
    Period,
    Subscriber,
    SubscriberState,
    Turn,
)
from router.operate import failed_tasks
from router.operate.resend import resend
from router.public import Reject, publish
from router.testing import deliver_due, route
from tests.contract.steps import TYPE, a_puller, ack, count_all, leases, say, take
from tests.receivers import Declare

DAYS = 30
Rows = dict[int, dict[str, set[int]]]
#: More of them look deeper, and differently each time.
EXAMPLES = int(os.environ.get("PROTOCOL_EXAMPLES", "0")) or 25


class World:
    """A handler that refuses some events, a puller, and one walk after the other."""

    def __init__(self, declare: Declare) -> None:
        for model in (Attempt, FailedTask, Delivery, EventRecord):
            model.objects.all().delete()
        for each in (Acknowledgement, Turn, Cursor, Period):
            each.objects.all().delete()
        LogHead.objects.update(position=0, pruned_to=0, pruned_number=0)
        Subscriber.objects.all().delete()
        declare("handler", self.handle)
        self.puller = a_puller("puller")
        self.walk = Walk(DAYS)

    def handle(self, event: Any) -> None:
        if event.data["pick"] % 3 == 0:
            raise Reject("no")

    def publish(self, pick: int) -> None:
        publish(TYPE, {"pick": pick})

    def deliver(self, pick: int) -> None:
        deliver_due()

    def route(self, pick: int) -> None:
        route()

    def pull(self, pick: int) -> None:
        taken = take(self.puller, most=1 + pick % 2)
        if pick % 3 == 1:
            ack(taken)
        elif pick % 3 == 2:
            say(settling.nack, leases(taken, 0))

    def grow_old(self, pick: int) -> None:
        """All but the last few."""
        # Past the cutoff by more than the millisecond that SQLite's clock has.
        at = timezone.now() - timedelta(days=DAYS + pick, seconds=1)
        numbers = list(EventRecord.objects.values_list("number", flat=True))
        old = sorted(numbers)[: len(numbers) - pick % 4]
        EventRecord.objects.filter(number__in=old).update(recorded_at=at)

    def pause_or_resume(self, pick: int) -> None:
        states = [SubscriberState.PAUSED, SubscriberState.ACTIVE]
        Subscriber.objects.filter(name="handler").update(state=states[pick % 2])

    def merge(self, pick: int) -> None:
        """What was acknowledged so far is of yesterday; some of it of one hour."""
        at = timezone.now() - timedelta(days=2, minutes=pick)
        Acknowledgement.objects.update(acknowledged_at=at)
        count_all()
        for cursor in Cursor.objects.all():
            merge(cursor.pk)

    def intervene(self, pick: int) -> None:
        """A person settles a failed task, or sends a delivery again."""
        task = FailedTask.objects.open().first()
        done = Delivery.objects.filter(state=DeliveryState.ACKNOWLEDGED).first()
        if task and pick % 3:
            settle = failed_tasks.retry if pick % 2 else failed_tasks.discard
            settle([task.pk], by="test")
        elif done:
            try:
                resend(done.pk, by="test")
            except NotResendable:
                return

    def prune(self, pick: int) -> None:
        """Some steps, and perhaps a walk that is broken off."""
        if pick % 4 == 0 or not self.walk.step():
            self.walk = Walk(DAYS)
            self.walk.step()


ACTS = [
    "publish", "publish", "publish", "deliver", "route", "pull", "pull",
    "grow_old", "intervene", "prune", "prune", "pause_or_resume", "merge",
]  # fmt: skip
#: What a paused handler has not got is old.
PAUSED = [
    ("publish", 1), ("deliver", 0), ("pause_or_resume", 0), ("publish", 1),
    ("route", 0), ("pull", 1), ("grow_old", 0), ("prune", 0), ("prune", 1),
]  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 59)), max_size=40)


def rows() -> Rows:
    """Number of an event → all that belongs to it, of each table."""
    found: Rows = {
        number: {} for number in EventRecord.objects.values_list("number", flat=True)
    }
    queries = {
        "deliveries": Delivery.objects.values_list("event_id", "pk"),
        "attempts": Attempt.objects.values_list("delivery__event_id", "pk"),
        "failed tasks": FailedTask.objects.values_list("event_id", "pk"),
    }
    for name, query in queries.items():
        for number, pk in query:
            assert number in found, f"{name} {pk} is left of an event that is gone"
            found[number].setdefault(name, set()).add(pk)
    return found


def must_stay() -> set[int]:
    cutoff = timezone.now() - timedelta(days=DAYS)
    young = EventRecord.objects.filter(Q(position=None) | Q(recorded_at__gte=cutoff))
    owed = Delivery.objects.filter(state__in=("PENDING", "LEASED", "DEAD"))
    return {
        *young.values_list("number", flat=True),
        *owed.values_list("event_id", flat=True),
        *FailedTask.objects.filter(state="open").values_list("event_id", flat=True),
        *above_a_cursor().values_list("number", flat=True),
    }


def above_a_cursor() -> Any:
    lowest = Cursor.objects.in_use().order_by("position").first()
    return EventRecord.objects.filter(position__gt=lowest.position if lowest else 0)


def assert_each_is_covered_once() -> None:
    """What became of an event for a streamed subscriber: its delivery says it, or one
    acknowledgement does, as long as the event is there."""
    cursor = Cursor.objects.get(subscriber__name="handler")
    events = EventRecord.objects.filter(
        position__gt=cursor.start, position__lte=cursor.position, type=TYPE
    )
    rows = Delivery.objects.filter(subscriber=cursor.subscriber_id, run=0)
    without_row = events.exclude(number__in=rows.values("event_id"))
    covering = list(cursor.acknowledgements.values_list("first", "last"))
    for position in without_row.values_list("position", flat=True):
        count = sum(first <= position <= last for first, last in covering)
        assert count == 1, f"{position} is covered {count} times"
    assert all(last <= cursor.position for _, last in covering)


def assert_pruned_right(act: Callable[[], object]) -> None:
    before, staying = rows(), must_stay()
    positions = dict(EventRecord.objects.values_list("number", "position"))

    act()

    after, head = rows(), LogHead.objects.get()
    assert staying <= after.keys()
    assert all(after[number] == before[number] for number in after), "in part"
    for number in before.keys() - after.keys():
        assert (positions[number] or 0) <= head.pruned_to
        assert number <= head.pruned_number


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
@example(steps=PAUSED)
def test_nothing_owed_is_ever_deleted(declare: Declare, steps: list[Any]) -> None:
    world = World(declare)
    for act, pick in steps:
        if act == "prune":
            assert_pruned_right(lambda pick=pick: world.prune(pick))  # type: ignore[misc]
        else:
            getattr(world, act)(pick)
        assert_each_is_covered_once()

    world.grow_old(0)
    world.walk = Walk(DAYS)
    while world.walk.step():
        pass
    assert rows().keys() == must_stay(), "what may go, goes"
    assert_each_is_covered_once()
    for covering in Acknowledgement.objects.all():
        left = EventRecord.objects.filter(
            position__range=(covering.first, covering.last)
        )
        assert left.exists() or covering.last > world.walk.position

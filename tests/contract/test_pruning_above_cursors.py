"""What a cursor has not passed is owed, though no row says so: it is never deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from router.flow import prune
from router.flow.loop import DispatcherLoop
from router.flow.prune import Retention, Walk
from router.flow.route.head import mark_pruned
from router.models import (
    Acknowledgement,
    Cursor,
    Delivery,
    EventRecord,
    IngressFailedTask,
    LogHead,
    Subscriber,
)
from router.operate.declared import pause, resume
from router.public import Event, Reject, publish
from router.testing import deliver_due, route
from tests.contract.letterbox import Letterbox
from tests.contract.steps import TYPE
from tests.receivers import Declare, Receiver

pytestmark = pytest.mark.django_db(transaction=True)

DAYS = 30
HELD = "router.retention.held"


def publish_old(count: int) -> None:
    for index in range(count):
        number = publish(TYPE, {"index": index}).number
        at = timezone.now() - timedelta(days=DAYS + 1)
        EventRecord.objects.filter(number=number).update(recorded_at=at)
    route()


def walk(**options: Any) -> Walk:
    made = Walk(DAYS, **options)
    while made.step():
        pass
    return made


def positions() -> list[int | None]:
    events = EventRecord.objects.filter(type=TYPE).order_by("position")
    return list(events.values_list("position", flat=True))


@pytest.fixture
def paused(declare: Declare) -> Receiver:
    """A subscriber that acknowledged the first two events, and is owed three more."""
    receiver = declare("paused")
    declare("other")
    publish_old(2)
    deliver_due()
    pause(receiver.row.pk, reason="", by="test")
    publish_old(3)
    deliver_due()
    return receiver


def test_what_a_paused_subscriber_is_owed_stays(paused: Receiver) -> None:
    dry = walk(is_dry_run=True).pruned

    pruned = walk().pruned

    assert positions() == [3, 4, 5]
    assert LogHead.objects.get().pruned_to == 2
    assert (pruned.held_count, pruned.held_by) == (3, {paused.row.pk: 3})
    assert pruned.rows["acknowledgements"] > 0
    assert dry == pruned
    resume(paused.row.pk, by="test")
    deliver_due()
    assert len(paused.seen) == 5
    walk()
    assert positions() == []
    assert not Acknowledgement.objects.exists()


def test_a_deleted_subscriber_holds_nothing(paused: Receiver) -> None:
    Subscriber.objects.filter(pk=paused.row.pk).update(deleted_at=timezone.now())
    walk()
    assert positions() == []


def test_a_subscriber_that_is_served_row_by_row_holds_what_it_is_behind(
    declare: Declare,
) -> None:
    row = declare("listener", is_transactional=False).row
    publish_old(4)
    deliver_due()
    Cursor.objects.filter(subscriber=row).update(is_behind=True, position=1)
    walk()
    assert positions() == [2, 3, 4]
    Cursor.objects.filter(subscriber=row).update(is_behind=False)
    walk()
    assert positions() == []


def test_a_cursor_that_falls_back_meanwhile_stops_the_mark(paused: Receiver) -> None:
    """A run over the past may begin between the look and the mark."""
    assert not mark_pruned(to=3, number=10**6)
    assert LogHead.objects.get().pruned_to == 0
    assert mark_pruned(to=2, number=2)
    assert LogHead.objects.get().pruned_to == 2


def test_an_acknowledgement_stays_with_the_last_event_that_it_covers(
    declare: Declare,
) -> None:
    """An event that another subscriber's failed task holds was acknowledged here."""

    def refuse_the_second(event: Event) -> None:
        if event.data["index"] == 1:
            raise Reject("no")

    declare("strict", behave=refuse_the_second)
    calm = declare("calm").row
    publish_old(1)
    deliver_due()
    publish_old(5)
    deliver_due()
    dry = walk(is_dry_run=True).pruned

    assert walk().pruned == dry
    assert len(positions()) == 1
    [left] = Acknowledgement.objects.all()
    assert left.cursor.subscriber == calm
    assert left.first <= (positions()[0] or 0) <= left.last
    assert Delivery.objects.get().state == "DEAD"


def test_a_settled_ingress_failed_task_goes_and_an_open_one_stays() -> None:
    long_ago = timezone.now() - timedelta(days=DAYS + 1)
    for number, (state, at) in enumerate(
        [("open", None), ("discarded", long_ago), ("published", long_ago)]
        + [("discarded", timezone.now())]
    ):
        IngressFailedTask.objects.create(
            bridge="bridge",
            digest=str(number),
            body=b"",
            problem="no",
            state=state,
            settled_at=at,
        )

    dry = walk(is_dry_run=True).pruned
    assert IngressFailedTask.objects.count() == 4
    assert walk().pruned == dry

    assert dry.rows["ingress failed tasks"] == 2
    assert set(IngressFailedTask.objects.values_list("digest", flat=True)) == {"0", "3"}


def test_people_hear_once_a_week_who_holds_old_events(
    paused: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ROUTER = {**settings.ROUTER, "KEEP_EVENTS_DAYS": DAYS}
    monkeypatch.setattr(prune, "WALK_SECONDS", 0.0)
    monkeypatch.setattr(prune, "REST_FACTOR", 0)
    retention = Retention()
    for _ in range(5):
        retention.turn()
    Retention().turn()

    notice = EventRecord.objects.get(type=HELD)
    data = notice.to_event().data
    assert data["subscriber"] == {"name": "paused", "title": "Paused"}
    assert (data["state"], data["event_count"]) == ("paused", 3)

    notice.delete()
    resume(paused.row.pk, by="test")
    deliver_due()
    Retention().turn()
    assert not EventRecord.objects.filter(type=HELD).exists()


def test_a_turn_of_the_dispatcher_merges(declare: Declare) -> None:
    declare()
    publish_old(1)
    deliver_due()
    publish_old(1)
    deliver_due()
    at = timezone.now() - timedelta(days=2)
    Acknowledgement.objects.update(acknowledged_at=at)

    # The rollups of the first turn count them: what is not counted is not merged.
    for _ in range(2):
        DispatcherLoop(Letterbox()).tick()  # type: ignore[arg-type]  # all that it uses

    assert Acknowledgement.objects.get().count == 2

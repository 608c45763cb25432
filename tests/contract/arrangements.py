"""An event and a subscriber for each verdict of an explanation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from router import registry
from router.flow.cursor.reading import next_chunk
from router.flow.prune import Walk
from router.flow.route.routing import route_batch
from router.flow.route.window import Windows
from router.models import (
    Delivery,
    EventRecord,
    FailedTask,
    LogHead,
    Run,
    Subscriber,
    Turn,
)
from router.operate.declared import pause
from router.operate.failed_tasks import discard
from router.operate.runs import cancel_run, pause_run
from router.operate.subscribers import delete_subscriber
from router.public import Event, Reject, publish
from router.testing import deliver_due, route
from tests.contract.steps import a_puller, take
from tests.receivers import Declare

#: What each returns: the event's number and the subscriber's name.
Arranged = tuple[int, str]
Arrange = Callable[[Declare, Any], Arranged]


def send(type: str = "thing.happened", **attributes: Any) -> int:
    data = attributes.pop("data", {})
    number = publish(type, data, source="/test", **attributes).number
    route()
    return number


def refuse(event: Event) -> None:
    raise ValueError("not this one")


def reject(event: Event) -> None:
    raise Reject("never this one")


def acknowledged_in_a_chunk(declare: Declare, settings: Any) -> Arranged:
    declare()
    number = send()
    deliver_due()
    return number, "listener"


def acknowledged_by_a_row(declare: Declare, settings: Any) -> Arranged:
    declare(is_transactional=False)
    number = send()
    deliver_due()
    return number, "listener"


def at_work_in_the_stream(declare: Declare, settings: Any) -> Arranged:
    row = declare().row
    number = send()
    assert next_chunk(row.pk)
    return number, "listener"


def at_work_by_a_puller(declare: Declare, settings: Any) -> Arranged:
    row = a_puller()
    number = send()
    assert take(row)
    return number, "erp"


def behind_others_in_the_stream(declare: Declare, settings: Any) -> Arranged:
    declare()
    send()
    send()
    return send(), "listener"


def due_after_others(declare: Declare, settings: Any) -> Arranged:
    declare(is_transactional=False)
    send()
    return send(), "listener"


def not_pulled(declare: Declare, settings: Any) -> Arranged:
    a_puller()
    return send(), "erp"


def retried_later(declare: Declare, settings: Any) -> Arranged:
    declare(behave=refuse)
    number = send()
    deliver_due()
    Delivery.objects.update(due_at=timezone.now() + timedelta(hours=1))
    return number, "listener"


def behind_its_key(declare: Declare, settings: Any) -> Arranged:
    a_puller(ordering="key")
    send(partitionkey="k")
    return send(partitionkey="k"), "erp"


def behind_a_dead_one_of_its_key(declare: Declare, settings: Any) -> Arranged:
    a_puller(ordering="key")
    send(partitionkey="k")
    Delivery.objects.update(state="DEAD")
    return send(partitionkey="k"), "erp"


def behind_a_breaker(declare: Declare, settings: Any) -> Arranged:
    row = declare(behave=refuse).row
    send()
    deliver_due()
    now = timezone.now()
    later = now + timedelta(minutes=2)
    Subscriber.objects.filter(pk=row.pk).update(
        breaker="open", incident_since=now, probe_at=later
    )
    return send(), "listener"


def asked_to_come_later(declare: Declare, settings: Any) -> Arranged:
    declare()
    later = timezone.now() + timedelta(hours=1)
    Subscriber.objects.update(not_before=later)
    return send(), "listener"


def paused(declare: Declare, settings: Any) -> Arranged:
    row = declare().row
    pause(row.pk, reason="tea", by="user olga")
    return send(), "listener"


def at_the_limit_in_the_stream(declare: Declare, settings: Any) -> Arranged:
    declare()
    number = send()
    Turn.objects.update(is_full=True)
    return number, "listener"


def at_the_limit_of_rows(declare: Declare, settings: Any) -> Arranged:
    settings.ROUTER = {**settings.ROUTER, "WINDOW": 1, "MAX_OPEN": 1}
    declare(is_transactional=False)
    for _ in range(3):
        number = publish("thing.happened", {}, source="/test").number
        windows = Windows()
        windows.turn()
        route_batch(fits=windows.fits)
    return number, "listener"


def without_code(declare: Declare, settings: Any) -> Arranged:
    declare()
    number = send()
    registry._declared.clear()
    return number, "listener"


def of_another_type(declare: Declare, settings: Any) -> Arranged:
    declare(events=["other.*", "more.happened"])
    number = send()
    # What is asked for later changes nothing.
    declare(events=["thing.happened"])
    return number, "listener"


def rejected_by_a_clause(declare: Declare, settings: Any) -> Arranged:
    clauses = [{"exact": {"source": "/test"}}, {"exact": {"data.city": "Graz"}}]
    declare(filter={"all": clauses})
    return send(data={"city": "Linz"}), "listener"


def beyond_its_limits(declare: Declare, settings: Any) -> Arranged:
    declare()
    Subscriber.objects.update(allowed_sources=["/elsewhere"])
    return send(), "listener"


def ahead_of_a_backfill(declare: Declare, settings: Any) -> Arranged:
    send()
    number = send()
    declare(start="beginning", is_transactional=False)
    return number, "listener"


def ahead_of_a_paused_backfill(declare: Declare, settings: Any) -> Arranged:
    arranged = ahead_of_a_backfill(declare, settings)
    pause_run(Run.objects.get().pk, by="user olga")
    return arranged


def ahead_of_a_cancelled_backfill(declare: Declare, settings: Any) -> Arranged:
    arranged = ahead_of_a_backfill(declare, settings)
    cancel_run(Run.objects.get().pk, by="user olga")
    return arranged


def for_another(declare: Declare, settings: Any) -> Arranged:
    other = declare("other").row
    declare()
    number = publish("thing.happened", {}, source="/test").number
    EventRecord.objects.update(only_for=other)
    route()
    return number, "listener"


def before_it_began(declare: Declare, settings: Any) -> Arranged:
    number = send()
    declare()
    return number, "listener"


def discarded(declare: Declare, settings: Any) -> Arranged:
    declare(behave=reject)
    number = send()
    deliver_due()
    discard([FailedTask.objects.get().pk], by="user olga", note="a test order")
    return number, "listener"


def of_a_deleted_subscriber(declare: Declare, settings: Any) -> Arranged:
    row = a_puller()
    number = send()
    delete_subscriber(row, by="user olga", reason="moved out")
    return number, "erp"


def above_the_cursor_of_a_deleted_subscriber(
    declare: Declare, settings: Any
) -> Arranged:
    row = declare().row
    number = send()
    Subscriber.objects.filter(pk=row.pk).update(deleted_at=timezone.now())
    return number, "listener"


def given_up(declare: Declare, settings: Any) -> Arranged:
    declare(behave=reject)
    number = send()
    deliver_due()
    return number, "listener"


def not_routed(declare: Declare, settings: Any) -> Arranged:
    declare()
    return publish("thing.happened", {}, source="/test").number, "listener"


def pruned(declare: Declare, settings: Any) -> Arranged:
    declare()
    number = send()
    deliver_due()
    EventRecord.objects.update(recorded_at=timezone.now() - timedelta(days=9))
    walk = Walk(5)
    while walk.step():
        pass
    assert LogHead.objects.get().pruned_number == number
    return number, "listener"


def of_a_filter_that_was_another(declare: Declare, settings: Any) -> Arranged:
    declare(is_transactional=False, events=["other.happened"])
    number = send()
    # As if code that matches were different now.
    Subscriber.objects.get().periods.update(events=["*"])
    return number, "listener"

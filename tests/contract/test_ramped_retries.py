"""Many failed tasks are retried at a ramp, which stops by itself; what is not begun yet
is taken back."""

from __future__ import annotations

import pytest
from django.db.models import F
from django.utils import timezone

from router.contract.errors import DoesNotApply, NotOpen
from router.flow.causes import group_by_cause
from router.flow.prune import Walk
from router.flow.ramped_retries import advance_ramped_retries
from router.models import (
    AuditEntry,
    Delivery,
    DeliveryState,
    FailedTask,
    FailedTaskGroup,
    RampedRetry,
    RampState,
)
from router.observe.ramp_progress import ramp_progress
from router.operate.failed_tasks import discard, restore, retry
from router.operate.ramped_retries import (
    begin_ramped_retry,
    cancel_ramped_retry,
    discard_group,
)
from router.public import Event, Reject, publish
from router.testing import deliver_due, route, skip_waits
from tests.contract.keyed_router import KeyedRouter, subscribe
from tests.contract.keys import happen, rounds
from tests.contract.steps import TYPE
from tests.receivers import Declare, Receiver

pytestmark = pytest.mark.one_database

BY = "user olga"


def reject(event: Event) -> None:
    raise Reject(f"order {event.data['n']} is unknown")


def accept(event: Event) -> None: ...


def failing(declare: Declare, count: int) -> Receiver:
    receiver = declare("erp", reject)
    for n in range(count):
        publish(TYPE, {"n": n})
    deliver_due()
    group_by_cause()
    receiver.seen.clear()
    return receiver


def begin(**options: object) -> RampedRetry:
    group = FailedTaskGroup.objects.get()
    return begin_ramped_retry(
        group.subscriber_id, group=group, by=BY, reason="fixed", **options
    )


def steps(receiver: Receiver, count: int) -> list[int]:
    """How many events the receiver has had after each of the next steps."""
    seen = []
    for _ in range(count):
        advance_ramped_retries()
        deliver_due()
        seen.append(len(receiver.seen))
    return seen


def state_of(ramp: RampedRetry) -> tuple[str, int, int, int, int]:
    ramp.refresh_from_db()
    now = ramp_progress(ramp)
    return ramp.state, now.acknowledged, now.failed, now.moving, now.remaining


def open_count() -> int:
    return FailedTask.objects.open().count()


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


def test_a_ramp_grows_until_all_are_acknowledged(declare: Declare) -> None:
    receiver = failing(declare, 120)
    receiver.behave = accept
    ramp = begin()

    assert steps(receiver, 2) == [1, 11]
    assert state_of(ramp) == (RampState.ACTIVE, 11, 0, 0, 109)
    assert ramp_progress(ramp).percent == 9
    assert steps(receiver, 3) == [111, 120, 120]

    assert state_of(ramp) == (RampState.COMPLETE, 120, 0, 0, 0)
    assert sorted(event.data["n"] for event in receiver.seen) == list(range(120))
    assert {task.settled_by_name for task in FailedTask.objects.all()} == {"olga"}
    assert actions() == ["ramped_retry.begun", "ramped_retry.complete"]


def test_a_cause_that_is_not_fixed_stops_after_the_first(declare: Declare) -> None:
    receiver = failing(declare, 30)
    ramp = begin()

    assert steps(receiver, 3) == [1, 1, 1]

    assert state_of(ramp) == (RampState.STOPPED, 0, 1, 0, 0)
    # The one that was retried died again.
    assert open_count() == 30
    assert actions()[-1] == "ramped_retry.stopped"


def test_what_waits_for_a_further_attempt_stops_it_too(declare: Declare) -> None:
    receiver = failing(declare, 5)
    receiver.behave = lambda event: 1 / 0
    ramp = begin()
    assert steps(receiver, 2) == [1, 1]
    assert state_of(ramp)[0] == RampState.STOPPED
    assert open_count() == 4


def test_a_later_step_that_fails_takes_back_what_is_not_begun(
    declare: Declare,
) -> None:
    receiver = failing(declare, 30)
    receiver.behave = accept
    ramp = begin()
    steps(receiver, 1)
    advance_ramped_retries()
    second = Delivery.objects.filter(state=DeliveryState.PENDING).order_by("pk")
    assert second.count() == 10
    failed = {"last_failed_at": timezone.now(), "attempts": F("attempts") + 1}
    Delivery.objects.filter(pk=second[0].pk).update(**failed)

    advance_ramped_retries()

    assert state_of(ramp)[:3] == (RampState.STOPPED, 1, 1)
    assert open_count() == 28
    taken_back = FailedTask.objects.open().filter(ramped_retry__isnull=False)
    assert not taken_back.exists()


def test_a_step_waits_for_the_one_before(declare: Declare) -> None:
    failing(declare, 30)
    ramp = begin()
    advance_ramped_retries()
    advance_ramped_retries()
    assert state_of(ramp) == (RampState.ACTIVE, 0, 0, 1, 29)


def test_what_fails_later_for_the_same_cause_is_not_part_of_it(
    declare: Declare,
) -> None:
    receiver = failing(declare, 1)
    ramp = begin()
    publish(TYPE, {"n": 77})
    deliver_due()
    group_by_cause()
    receiver.behave = accept
    steps(receiver, 2)
    assert state_of(ramp)[0] == RampState.COMPLETE
    assert open_count() == 1


def test_a_ramp_that_is_cancelled_takes_back_what_is_not_begun(
    declare: Declare,
) -> None:
    failing(declare, 3)
    ramp = begin()
    advance_ramped_retries()
    assert open_count() == 2

    cancel_ramped_retry(ramp.pk, by=BY)

    assert open_count() == 3
    assert state_of(ramp)[0] == RampState.CANCELLED
    assert not Delivery.objects.open().exists()
    with pytest.raises(DoesNotApply, match="over already"):
        cancel_ramped_retry(ramp.pk, by=BY)


def test_of_two_operators_one_begins(declare: Declare) -> None:
    failing(declare, 3)
    begin()
    with pytest.raises(DoesNotApply, match="user olga began"):
        begin()
    assert RampedRetry.objects.count() == 1


def test_all_since_a_time_are_retried_whatever_their_cause(declare: Declare) -> None:
    receiver = failing(declare, 3)
    old = FailedTask.objects.earliest("pk")
    FailedTask.objects.filter(pk=old.pk).update(opened_at="2026-01-01T00:00Z")
    since = FailedTask.objects.latest("pk").opened_at.replace(hour=0, minute=0)
    receiver.behave = accept
    begin_ramped_retry(receiver.row.pk, since=since, by=BY)
    steps(receiver, 3)
    assert list(FailedTask.objects.open()) == [old]


def test_a_full_subscriber_gets_no_more(declare: Declare, settings: object) -> None:
    receiver = failing(declare, 3)
    receiver.behave = accept
    ramp = begin()
    settings.ROUTER = {**settings.ROUTER, "WINDOW": 1, "MAX_OPEN": 1}  # type: ignore[attr-defined]
    assert steps(receiver, 3) == [1, 2, 3]
    advance_ramped_retries()
    assert state_of(ramp)[0] == RampState.COMPLETE


def test_an_ordered_subscriber_keeps_the_order_of_each_key(bus: KeyedRouter) -> None:
    bus.refused = (1, 2)
    subscribe(on_dead="hold")
    happen("a", "b", "a", "b")
    rounds()
    group_by_cause()
    assert open_count() == 2
    bus.refused = ()
    begin()
    for _ in range(3):
        advance_ramped_retries()
        rounds()
    assert dict(bus.taken) == {"a": [1, 3], "b": [2, 4]}


def test_what_is_taken_back_holds_its_key_again(bus: KeyedRouter) -> None:
    bus.refused = (1,)
    subscribe(on_dead="hold")
    happen("a", "a")
    rounds()
    task = FailedTask.objects.get()
    retry([task.pk], by=BY)
    restore(task.pk, by=BY)
    bus.refused = ()
    rounds()
    assert dict(bus.taken) == {}
    retry([task.pk], by=BY)
    rounds()
    assert dict(bus.taken) == {"a": [1, 2]}


def test_what_is_taken_back_lets_its_key_go_on(bus: KeyedRouter) -> None:
    bus.refused = (1,)
    subscribe(on_dead="skip")
    happen("a")
    rounds()
    task = FailedTask.objects.get()
    retry([task.pk], by=BY)
    happen("a")
    route()
    assert Delivery.objects.held().count() == 1
    restore(task.pk, by=BY)
    assert not Delivery.objects.held().exists()


def test_a_discarded_cause_is_never_delivered(declare: Declare) -> None:
    receiver = failing(declare, 3)
    group = FailedTaskGroup.objects.get()
    seen = FailedTask.objects.order_by("pk")[1].pk
    assert discard_group(group, by=BY, note="test data", up_to=seen) == 2
    assert open_count() == 1
    assert discard_group(group, by=BY, note="test data") == 1
    assert deliver_due() == 0
    assert receiver.seen == []
    with pytest.raises(DoesNotApply, match="No failed task"):
        discard_group(group, by=BY, note="again")
    assert set(Delivery.objects.values_list("state", flat=True)) == {"CANCELLED"}


@pytest.mark.parametrize("settle", [retry, discard])
def test_what_was_settled_is_restored(declare: Declare, settle: object) -> None:
    receiver = failing(declare, 1)
    task = FailedTask.objects.get()
    settle([task.pk], by=BY, note="a slip")  # type: ignore[operator]

    restore(task.pk, by=BY, note="undone")

    task.refresh_from_db()
    assert (task.state, task.settled_by_name, task.settled_note) == ("open", "", "")
    assert Delivery.objects.get().state == DeliveryState.DEAD
    skip_waits()
    assert deliver_due() == 0
    receiver.behave = accept
    retry([task.pk], by=BY)
    assert deliver_due() == 1
    assert actions()[1] == "failed_task.restored"


def test_what_a_worker_has_begun_is_not_taken_back(declare: Declare) -> None:
    receiver = failing(declare, 1)
    receiver.behave = accept
    task = FailedTask.objects.get()
    with pytest.raises(NotOpen, match="It is open"):
        restore(task.pk, by=BY)
    retry([task.pk], by=BY)
    deliver_due()
    with pytest.raises(NotOpen, match="A worker has begun"):
        restore(task.pk, by=BY)
    with pytest.raises(NotOpen, match="no such"):
        restore(task.pk + 1, by=BY)


def test_what_died_again_is_not_opened_twice(declare: Declare) -> None:
    failing(declare, 1)
    first = FailedTask.objects.get()
    retry([first.pk], by=BY)
    deliver_due()
    second = FailedTask.objects.latest("pk")
    retry([second.pk], by=BY)
    with pytest.raises(NotOpen):
        restore(first.pk, by=BY)
    restore(second.pk, by=BY)
    assert list(FailedTask.objects.open()) == [second]


def test_what_is_restored_is_not_pruned(declare: Declare) -> None:
    failing(declare, 1)
    task = FailedTask.objects.get()
    discard([task.pk], by=BY)
    restore(task.pk, by=BY)
    walk = Walk(0)
    while walk.step():
        pass
    assert FailedTask.objects.filter(pk=task.pk).exists()

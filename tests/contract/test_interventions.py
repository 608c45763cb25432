"""What an operator does against a breaker, by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from router.contract.errors import DoesNotApply
from router.flow.route.routing import route_batch
from router.models import (
    AuditEntry,
    BreakerState,
    Delivery,
    DeliveryState,
    FailedTask,
    Subscriber,
)
from router.operate.declared import pause
from router.operate.interventions import close_breaker, skip, try_now
from router.public import Event, publish
from router.testing import deliver_due, skip_waits
from tests.contract.steps import TYPE
from tests.receivers import Declare, Receiver

pytestmark = pytest.mark.usefixtures("probes_by_hand")


def refuse(event: Event) -> None:
    raise ConnectionError("down")


def accept(event: Event) -> None: ...


@pytest.fixture
def down(declare: Declare) -> Receiver:
    """A subscriber with six events that its open breaker holds."""
    # A retry that came due meanwhile would open it sooner.
    receiver = declare("down", refuse, retry_first_seconds=600)
    for n in range(6):
        publish(TYPE, {"n": n})
    deliver_due()
    assert receiver.row.breaker == BreakerState.OPEN
    return receiver


def noted() -> list[tuple[str, str, str, str]]:
    lines = AuditEntry.objects.order_by("pk")
    return list(lines.values_list("action", "target", "actor", "reason"))


def test_a_try_now_sends_one_probe_at_once(down: Receiver) -> None:
    before = len(down.seen)
    assert deliver_due() == 0

    try_now(down.row.pk, by="user olga", reason="they say it is up")

    assert deliver_due() == 1
    assert len(down.seen) == before + 1
    assert noted() == [
        ("subscriber.tried_now", "subscriber down", "user olga", "they say it is up")
    ]


def test_a_try_now_that_succeeds_lets_everything_go(down: Receiver) -> None:
    down.behave = accept
    try_now(down.row.pk, by="user olga")

    deliver_due()
    skip_waits()
    deliver_due()

    assert not Delivery.objects.open().exists()


def test_a_try_now_needs_no_event_that_is_due(down: Receiver) -> None:
    Delivery.objects.update(due_at=timezone.now() + timedelta(hours=1))

    try_now(down.row.pk, by="user olga")

    assert deliver_due() == 1


def test_a_try_now_takes_the_next_of_the_log_where_nothing_else_waits(
    down: Receiver,
) -> None:
    Delivery.objects.all().delete()
    assert deliver_due() == 0

    try_now(down.row.pk, by="user olga")

    assert deliver_due() == 1
    assert Delivery.objects.get().event.data == {"n": 5}
    Delivery.objects.all().delete()
    with pytest.raises(DoesNotApply, match="Nothing waits for it"):
        try_now(down.row.pk, by="user olga")


def test_a_try_now_ends_the_wait_that_a_receiver_asked_for(declare: Declare) -> None:
    busy = declare("busy")
    publish(TYPE, {})
    route_batch()
    in_an_hour = timezone.now() + timedelta(hours=1)
    Subscriber.objects.update(not_before=in_an_hour)
    assert deliver_due() == 0

    try_now(busy.row.pk, by="user olga")

    assert deliver_due() == 1


def test_a_closed_breaker_lets_go_what_it_held(down: Receiver) -> None:
    down.behave = accept

    close_breaker(down.row.pk, by="user olga", reason="fixed")

    assert down.row.breaker == BreakerState.DRAINING
    skip_waits()
    deliver_due()
    assert not Delivery.objects.open().exists()
    assert down.row.breaker == BreakerState.CLOSED
    assert noted() == [
        ("subscriber.breaker_closed", "subscriber down", "user olga", "fixed")
    ]


def test_what_does_not_apply_is_refused_with_the_reason(declare: Declare) -> None:
    well = declare("well").row
    with pytest.raises(DoesNotApply, match="Nothing is held"):
        try_now(well.pk, by="user olga")
    with pytest.raises(DoesNotApply, match="not open"):
        close_breaker(well.pk, by="user olga")

    pause(well.pk, by="user olga", reason="moves")
    for act in (try_now, close_breaker):
        with pytest.raises(DoesNotApply, match="It is paused: resume it"):
            act(well.pk, by="user olga")

    assert [line[0] for line in noted()] == ["subscriber.paused"]


def test_a_skipped_event_is_a_failed_task_at_once_and_the_rest_goes_on(
    down: Receiver,
) -> None:
    first = Delivery.objects.order_by("pk")[0]

    skip(first.pk, by="user olga", reason="a broken order")

    [failed] = FailedTask.objects.all()
    assert (failed.delivery_id, failed.reason) == (first.pk, "SKIPPED")
    assert failed.error == "ConnectionError: down"
    assert noted() == [
        (
            "delivery.skipped",
            f"delivery {first.pk}",
            "user olga",
            "a broken order",
        )
    ]
    down.behave = accept
    skip_waits()
    deliver_due()
    skip_waits()
    deliver_due()
    assert set(Delivery.objects.values_list("state", flat=True)) == {
        DeliveryState.DEAD,
        DeliveryState.ACKNOWLEDGED,
    }


def test_skipping_all_that_is_held_closes_the_breaker(down: Receiver) -> None:
    skip_waits()
    deliver_due()
    for pk in Delivery.objects.filter(subscriber=down.row).values_list("pk", flat=True):
        skip(pk, by="user olga")
    assert down.row.breaker == BreakerState.DRAINING

    down.behave = accept
    publish(TYPE, {"n": 7})

    deliver_due()
    assert down.seen[-1].data == {"n": 7}


def test_skipping_all_that_was_set_aside_leaves_the_log_to_probe_with(
    down: Receiver,
) -> None:
    for pk in Delivery.objects.values_list("pk", flat=True):
        skip(pk, by="user olga")
    assert down.row.breaker == BreakerState.OPEN

    down.behave = accept
    skip_waits()
    deliver_due()

    assert down.seen[-1].data == {"n": 5}
    assert down.row.breaker == BreakerState.CLOSED


@pytest.mark.parametrize(
    "state", [each for each in DeliveryState if each != DeliveryState.PENDING]
)
def test_what_does_not_wait_is_not_skipped(
    declare: Declare, state: DeliveryState
) -> None:
    declare(is_safe_concurrently=True)
    publish(TYPE, {})
    route_batch()
    Delivery.objects.update(state=state)

    with pytest.raises(DoesNotApply):
        skip(Delivery.objects.get().pk, by="user olga")

    assert Delivery.objects.get().state == state
    assert not FailedTask.objects.exists()

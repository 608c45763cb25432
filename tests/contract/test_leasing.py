"""What pullers get, and what becomes of what they say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from router.flow.pull import settling
from router.flow.sweep import sweep
from router.models import (
    Attempt,
    BreakerState,
    Delivery,
    EventRecord,
    FailedTask,
    Subscriber,
)
from tests.contract.steps import (
    ack,
    extend,
    leases,
    let_leases_run_out,
    publish_and_route,
    say,
    stale,
    statements,
    states,
    take,
)


def test_a_pull_leases_the_oldest_due_in_order_and_counts_the_attempt(
    puller: Subscriber,
) -> None:
    publish_and_route(5)

    pulled = take(puller, most=3)

    assert [delivery.event.data["n"] for delivery in pulled] == [0, 1, 2]
    assert {delivery.attempts for delivery in pulled} == {1}
    assert [each.event.data["n"] for each in take(puller)] == [3, 4]
    assert take(puller) == ()


def test_what_waits_is_not_pulled(puller: Subscriber) -> None:
    publish_and_route()
    Delivery.objects.update(due_at=timezone.now() + timedelta(hours=1))
    assert take(puller) == ()


def test_acknowledged_is_settled_once(puller: Subscriber) -> None:
    publish_and_route(2)
    pulled = take(puller)

    assert ack(pulled) == [True, True]
    assert ack(pulled) == [True, True]

    assert states() == ["ACKNOWLEDGED", "ACKNOWLEDGED"]
    assert Attempt.objects.filter(result="ACKNOWLEDGED").count() == 2
    puller.refresh_from_db()
    assert puller.last_acknowledged_at is not None


def test_a_lost_lease_stops_no_other(puller: Subscriber) -> None:
    publish_and_route(3)
    first, second, third = take(puller)
    named = [*leases([first]), stale(second), *leases([third])]

    assert say(settling.ack, named) == [True, False, True]
    assert states() == ["ACKNOWLEDGED", "LEASED", "ACKNOWLEDGED"]


def test_leases_of_several_pulls_are_settled_in_one_go(puller: Subscriber) -> None:
    publish_and_route(3)
    pulled = [take(puller, most=1)[0] for _ in range(3)]
    assert len({delivery.lease_token for delivery in pulled}) == 3
    assert ack(pulled) == [True, True, True]


ANSWERS = [settling.ack, settling.nack, settling.release, settling.extend]


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_statements_do_not_grow_with_the_batch(
    puller: Subscriber, answer: Any
) -> None:
    def of_so_many(count: int) -> int:
        publish_and_route(count)
        pulled = [take(puller, most=1)[0] for _ in range(count)]
        named = leases(pulled, 7)
        return statements(lambda: say(answer, named))

    assert of_so_many(2) == of_so_many(20)


def test_what_the_caller_may_not_touch_is_as_if_it_were_not_there(
    puller: Subscriber,
) -> None:
    publish_and_route()
    named = leases(take(puller))
    for answer in ANSWERS:
        foreign = answer(named, may_touch=lambda subscriber: subscriber.name != "erp")
        unknown = answer([stale(Delivery(pk=999_999))], may_touch=lambda _: True)
        assert foreign == unknown
        assert foreign not in ([None], [(None, None)])
    assert states() == ["LEASED"]


def test_a_nack_waits_exactly_as_long_as_it_says(puller: Subscriber) -> None:
    publish_and_route()
    pulled = take(puller)

    assert say(settling.nack, leases(pulled, 3600), reason="ValueError: no") == [True]

    delivery = Delivery.objects.get()
    left = delivery.due_at - timezone.now()
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    assert (delivery.state, delivery.failures, delivery.attempts) == ("PENDING", 1, 1)
    attempt = Attempt.objects.get()
    assert (attempt.result, attempt.error) == ("RETRY", "Nacked: ValueError: no")
    assert attempt.wait_seconds == 3600


def test_no_nack_waits_longer_than_a_day(puller: Subscriber) -> None:
    publish_and_route()
    say(settling.nack, leases(take(puller), 1e300))
    left = Delivery.objects.get().due_at - timezone.now()
    assert timedelta(hours=23) < left <= timedelta(hours=24)


def test_a_nack_without_a_delay_waits_as_the_schedule_says(puller: Subscriber) -> None:
    Subscriber.objects.update(retry_first_seconds=100, retry_maximum_seconds=100)
    publish_and_route()
    say(settling.nack, leases(take(puller)))
    left = Delivery.objects.get().due_at - timezone.now()
    assert timedelta(0) < left <= timedelta(seconds=100)
    assert Attempt.objects.get().wait_seconds


def test_at_the_last_failure_a_failed_task_opens(puller: Subscriber) -> None:
    Subscriber.objects.update(max_failures=2)
    publish_and_route(2)
    Delivery.objects.filter(pk=Delivery.objects.earliest("pk").pk).update(failures=1)

    named = leases(take(puller), 0)
    assert say(settling.nack, named, reason="ValueError: no") == [True, True]

    assert states() == ["DEAD", "PENDING"]
    failed = FailedTask.objects.get()
    assert (failed.reason, failed.error) == ("EXHAUSTED", "Nacked: ValueError: no")
    assert failed.attempts == 1
    notice = EventRecord.objects.get(type="router.failed_task.opened")
    assert notice.data["failed_task"]["error"] == "Nacked"


def test_nacks_never_open_the_breaker(puller: Subscriber) -> None:
    Subscriber.objects.update(max_failures=1)
    publish_and_route(10)
    say(settling.nack, leases(take(puller)))
    puller.refresh_from_db()
    assert puller.breaker == BreakerState.CLOSED
    assert FailedTask.objects.count() == 10
    assert puller.last_failed_at is not None


def test_what_was_not_begun_is_released_uncounted(puller: Subscriber) -> None:
    publish_and_route()
    assert say(settling.release, leases(take(puller))) == [True]
    (second,) = take(puller)
    assert (second.attempts, second.failures) == (1, 0)


def test_each_nack_of_a_batch_has_its_own_wait(puller: Subscriber) -> None:
    publish_and_route(2)
    soon, late = take(puller)
    assert say(settling.nack, leases([soon], 10) + leases([late], 3600)) == [True, True]
    soon.refresh_from_db()
    late.refresh_from_db()
    assert (soon.failures, late.failures) == (1, 1)
    assert timedelta(seconds=3500) < late.due_at - soon.due_at <= timedelta(hours=1)


def test_an_extended_lease_ends_so_many_seconds_from_now(puller: Subscriber) -> None:
    publish_and_route()
    pulled = take(puller, seconds=1)

    assert extend(leases(pulled, 60)) == [True]

    left = Delivery.objects.get().leased_until - timezone.now()  # type: ignore[operator]
    assert timedelta(seconds=55) < left <= timedelta(seconds=60)
    assert ack(pulled) == [True]


def test_a_lease_named_twice_is_extended_once_by_the_last_seconds(
    puller: Subscriber,
) -> None:
    publish_and_route()
    pulled = take(puller)
    before = timezone.now()

    results = settling.extend(
        leases(pulled, 300) + leases(pulled, 60), may_touch=lambda _: True
    )

    until: Any = Delivery.objects.get().leased_until
    assert results == [(None, until), (None, until)]
    assert until < before + timedelta(seconds=300)


def test_no_delivery_is_held_for_longer_than_the_settings_say(
    puller: Subscriber, settings: Any
) -> None:
    settings.ROUTER = {**settings.ROUTER, "PULL_TOTAL_MAXIMUM_SECONDS": 100}
    publish_and_route(3)
    spent, old, _ = pulled = take(puller)
    for delivery, seconds in ((spent, 100), (old, 60)):
        Delivery.objects.filter(pk=delivery.pk).update(
            pulled_at=F("pulled_at") - timedelta(seconds=seconds)
        )

    results = settling.extend(leases(pulled, 50), may_touch=lambda _: True)

    assert [refusal is None for refusal, _ in results] == [False, True, True]
    now = timezone.now()
    left = [delivery.leased_until - now for delivery in Delivery.objects.order_by("pk")]
    assert timedelta(seconds=20) < left[0] <= timedelta(seconds=30)
    assert timedelta(seconds=30) < left[1] <= timedelta(seconds=40)
    assert timedelta(seconds=40) < left[2] <= timedelta(seconds=50)
    assert ack(pulled) == [True, True, True]


def test_a_lease_that_ran_out_is_lost_and_the_next_pull_has_it(
    puller: Subscriber,
) -> None:
    publish_and_route()
    late = take(puller)
    let_leases_run_out()

    assert ack(late) == [False]
    assert extend(leases(late, 5)) == [False]
    (second,) = take(puller)
    assert (second.attempts, second.vanished) == (2, 1)
    assert ack(late) == [False]
    assert ack([second]) == [True]
    results = Attempt.objects.order_by("pk").values_list("result", flat=True)
    assert list(results) == ["VANISHED", "ACKNOWLEDGED"]


def test_a_suspect_is_handed_out_alone(puller: Subscriber) -> None:
    publish_and_route(3)
    suspect = Delivery.objects.order_by("pk")[1]
    Delivery.objects.filter(pk=suspect.pk).update(vanished=1)

    assert [len(take(puller)) for _ in range(3)] == [1, 1, 1]


def test_no_answer_is_heavier_than_a_chunk(puller: Subscriber, settings: Any) -> None:
    settings.ROUTER = {**settings.ROUTER, "CHUNK_BYTES": 1024}
    publish_and_route(3)
    EventRecord.objects.update(size_bytes=600)
    assert len(take(puller)) == 1


def test_leases_of_a_vanished_puller_come_back_by_the_sweep(puller: Subscriber) -> None:
    publish_and_route()
    take(puller)
    let_leases_run_out()
    assert sweep() == 1
    assert states() == ["PENDING"]

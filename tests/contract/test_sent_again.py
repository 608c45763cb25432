"""A puller whose answer was lost sends its call again, and gets the same answer."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from router.flow.pull import settling
from router.flow.pull.holding import Lease
from router.models import (
    Attempt,
    Delivery,
    DeliveryState,
    FailedTask,
    Subscriber,
    Transport,
)
from tests.contract.steps import (
    ack,
    extend,
    leases,
    let_leases_run_out,
    publish_and_route,
    say,
    take,
)

SETTLE: dict[str, Callable[..., Any]] = {
    "acknowledged": settling.ack,
    "nacked": settling.nack,
    "released": settling.release,
}


def why(answer: Callable[..., Any], *named: Lease) -> str:
    (refusal,) = answer(list(named), may_touch=lambda _: True)
    return str(refusal[0] if isinstance(refusal, tuple) else refusal)


def rows() -> list[dict[str, Any]]:
    return list(Delivery.objects.order_by("pk").values())


@pytest.mark.parametrize("way", SETTLE)
def test_a_call_sent_again_has_the_same_answer_and_changes_nothing(
    puller: Subscriber, way: str
) -> None:
    publish_and_route(2)
    named = leases(take(puller), 3600)
    assert say(SETTLE[way], named) == [True, True]
    before, attempts = rows(), Attempt.objects.count()

    assert say(SETTLE[way], named) == [True, True]

    assert rows() == before
    assert Attempt.objects.count() == attempts


@pytest.mark.parametrize("way", ["nacked", "released"])
def test_it_has_the_same_answer_while_another_lease_is_held(
    puller: Subscriber, way: str
) -> None:
    publish_and_route()
    first = leases(take(puller), 0)
    say(SETTLE[way], first)
    (second,) = take(puller)

    assert say(SETTLE[way], first) == [True]
    assert ack([second]) == [True]


@pytest.mark.parametrize("way", ["nacked", "released"])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_it_has_the_same_answer_in_the_call_that_ends_the_next_lease(
    puller: Subscriber, way: str, is_reversed: bool
) -> None:
    publish_and_route()
    first = leases(take(puller), 0)
    say(SETTLE[way], first)
    second = leases(take(puller), 0)
    both = second + first if is_reversed else first + second

    assert say(SETTLE[way], both) == [True, True]


def test_the_end_of_a_lease_is_answered_in_the_call_that_ends_the_next(
    puller: Subscriber,
) -> None:
    publish_and_route()
    first = leases(take(puller))
    say(settling.release, first)
    second = leases(take(puller))

    refusals = settling.ack(first + second, may_touch=lambda _: True)

    assert "was released by it. The delivery is acknowledged" in str(refusals[0])
    assert refusals[1] is None


def test_a_nack_that_opened_a_failed_task_has_the_same_answer_again(
    puller: Subscriber,
) -> None:
    Subscriber.objects.update(max_failures=1)
    publish_and_route()
    named = leases(take(puller))
    assert say(settling.nack, named) == [True]
    assert say(settling.nack, named) == [True]
    assert FailedTask.objects.count() == 1
    assert "failed task waits" in why(settling.ack, *named)


@pytest.mark.parametrize("first", SETTLE)
@pytest.mark.parametrize("second", SETTLE)
def test_a_lease_that_ended_one_way_does_not_end_another_way(
    puller: Subscriber, first: str, second: str
) -> None:
    publish_and_route()
    named = leases(take(puller), 3600)
    say(SETTLE[first], named)

    reason = why(SETTLE[second], *named)

    if first == second:
        assert reason == "None"
    else:
        assert f"was {first} by it" in reason
        assert ("comes again" in reason) == (first != "acknowledged")


@pytest.mark.parametrize("way", [*SETTLE.values(), settling.extend])
def test_a_second_lease_learns_that_the_delivery_is_acknowledged(
    puller: Subscriber, way: Callable[..., Any]
) -> None:
    publish_and_route()
    late = leases(take(puller), 5)
    let_leases_run_out()
    assert ack(take(puller)) == [True]

    reason = why(way, *late)

    assert "another lease acknowledged it" in reason
    assert "does not come again" in reason


def test_a_lease_that_ended_is_not_extended(puller: Subscriber) -> None:
    publish_and_route()
    named = leases(take(puller), 5)
    assert extend(named) == extend(named) == [True]
    say(settling.ack, named)
    assert "was acknowledged by it" in why(settling.extend, *named)


def test_the_answer_to_each_lost_lease_says_the_state(puller: Subscriber) -> None:
    publish_and_route()
    (late,) = leases(take(puller), 5)
    let_leases_run_out()
    reason = why(settling.ack, late)
    assert reason.startswith("This lease ran out at 20")
    assert reason.endswith("The delivery comes again.")

    (other,) = take(puller)
    assert "Another pull has the delivery now" in why(settling.ack, late)
    (guessed,) = [Lease(delivery_id=other.pk, token=uuid.uuid4())]
    assert "Another pull" in why(settling.ack, guessed)

    Delivery.objects.update(state=DeliveryState.CANCELLED, lease_token=None)
    assert "cancelled" in why(settling.ack, late)


def test_a_refusal_says_that_a_delivery_goes_by_webhook_now(puller: Subscriber) -> None:
    publish_and_route()
    (late,) = leases(take(puller), 5)
    Delivery.objects.update(state=DeliveryState.PENDING, lease_token=None)
    Subscriber.objects.update(transport=Transport.WEBHOOK)
    assert "goes by webhook now" in why(settling.ack, late)


def test_no_token_at_all_never_fits(puller: Subscriber) -> None:
    publish_and_route()
    Delivery.objects.update(state=DeliveryState.ACKNOWLEDGED)
    reason = why(settling.ack, Lease(delivery_id=Delivery.objects.get().pk, token=None))
    assert "another lease" in reason


def test_the_answer_is_the_same_for_what_a_key_is_not_bound_to_and_what_is_missing(
    puller: Subscriber,
) -> None:
    publish_and_route()
    (foreign,) = leases(take(puller))
    say(settling.ack, [foreign])
    unknown = Lease(delivery_id=foreign.delivery_id + 100, token=foreign.token)
    refusals = settling.ack([foreign, unknown], may_touch=lambda _: False)
    assert refusals[0] == refusals[1] is not None


def test_statements_do_not_grow_with_the_leases_that_are_lost(
    puller: Subscriber,
) -> None:
    publish_and_route(10)
    named = leases(take(puller))
    say(settling.ack, named)

    def cost(count: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert say(settling.ack, named[:count]) == [True] * count
        return len(captured)

    assert cost(1) == cost(10)

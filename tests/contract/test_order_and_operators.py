"""What an operator does keeps the order of each key."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from router.flow.pull import settling
from router.models import Delivery, FailedTask, Subscriber, Transport
from router.operate import failed_tasks
from router.operate.declared import pause, resume
from router.operate.interventions import close_breaker, skip
from router.operate.resend import resend
from router.operate.subscribers import edit_subscriber
from router.operate.switch_transport import switch_transport
from router.public import publish
from router.testing import deliver_due
from tests.contract.keyed_router import KeyedRouter, subscribe
from tests.contract.keys import delivery_of, happen, lease, open_by_key, rounds
from tests.contract.steps import TYPE, ack, leases, say, take


def switch_to_pull_and_back(row: Subscriber) -> None:
    """With a chunk under way, and while the puller has some."""
    lease(row)
    switch_transport(row.pk, Transport.PULL)
    held = take(row)
    assert len(held) == 2
    assert all(say(settling.nack, leases(held[:1], 0)))
    switch_transport(row.pk, Transport.AMQP)


def pause_and_resume(row: Subscriber) -> None:
    pause(row.pk, reason="", by="olga")
    deliver_due()
    resume(row.pk, by="olga")


def open_and_close_the_breaker(row: Subscriber) -> None:
    Subscriber.objects.update(breaker="open")
    close_breaker(row.pk, by="olga")


def skip_the_first(row: Subscriber) -> None:
    skip(delivery_of(1).pk, by="olga")


def skip_one_that_is_held(row: Subscriber) -> None:
    skip(delivery_of(3).pk, by="olga")


def narrow_the_limits(row: Subscriber) -> None:
    edit_subscriber(row, by="olga", allowed_types=[f"{TYPE}*"])


def turn_the_order_off_and_on(row: Subscriber) -> None:
    edit_subscriber(row, by="olga", ordering="none")
    assert not Delivery.objects.held().exists()
    edit_subscriber(row, by="olga", ordering="key")


@pytest.mark.parametrize(
    ("act", "taken"),
    [
        (switch_to_pull_and_back, [1, 3, 5]),
        (pause_and_resume, [1, 3, 5]),
        (open_and_close_the_breaker, [1, 3, 5]),
        (skip_the_first, [3, 5]),
        (skip_one_that_is_held, [1, 5]),
        (narrow_the_limits, [1, 3, 5]),
        (turn_the_order_off_and_on, [1, 3, 5]),
    ],
)
def test_an_act_of_an_operator_keeps_the_order(
    bus: KeyedRouter, act: Callable[[Subscriber], None], taken: list[int]
) -> None:
    row = subscribe()
    happen("a", "b", "a", "b", "a")

    act(row)
    happen("a", first=6)
    rounds(4)

    assert bus.taken == {"a": [*taken, 6], "b": [2, 4]}
    assert not Delivery.objects.open().exists()
    assert not bus.overlapping


def test_what_is_owed_no_more_holds_nothing(bus: KeyedRouter) -> None:
    row = subscribe(events=["*"])
    bus.failing = {1}
    publish("other.happened", {"n": 1}, partitionkey="a")
    happen("a", first=2)
    deliver_due()

    edit_subscriber(row, by="olga", events=[TYPE], allowed_types=[TYPE])
    rounds(1)

    assert bus.taken == {"a": [2]}


def test_what_is_resent_waits_for_nothing(bus: KeyedRouter) -> None:
    subscribe()
    bus.failing = {2}
    happen("a", "a", "a")
    deliver_due()

    resend(delivery_of(1).pk, by="olga")
    deliver_due()

    assert bus.taken == {"a": [1, 1]}
    assert open_by_key() == {"a": ["pending", "held"]}


def test_a_puller_gets_one_event_of_a_key_at_a_time(bus: KeyedRouter) -> None:
    row = subscribe(transport="pull")
    happen("a", "a", "b", "a")

    numbers = []
    while held := take(row):
        assert len({each.ordering_key for each in held}) == len(held)
        assert take(row) == ()
        numbers += [each.event.data["n"] for each in held]
        assert all(ack(held))

    assert numbers == [1, 3, 2, 4]


def test_a_retried_event_does_not_wait_for_one_that_died_after_it(
    bus: KeyedRouter,
) -> None:
    subscribe()
    bus.refused = {1}
    happen("a")
    # What no filter says: routing gives such an event up.
    Subscriber.objects.update(filter={"unheard": "of"})
    happen("a", first=2)
    Subscriber.objects.update(filter=None)
    happen("a", first=3)
    rounds(1)
    assert open_by_key() == {"a": ["dead", "dead", "held"]}
    bus.refused = ()

    failed_tasks.retry([FailedTask.objects.get(event__data__n=1).pk], by="olga")
    rounds(2)

    assert bus.taken == {"a": [1]}
    assert open_by_key() == {"a": ["dead", "held"]}

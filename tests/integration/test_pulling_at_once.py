"""Pullers at once: one of them is killed, and people edit and delete beside them.

Only PostgreSQL has several writers at a time, whose locks may cross.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from router.contract.errors import NotPulling
from router.flow.cancel import cancel_owed_to_deleted
from router.flow.deliver.settling import acknowledge
from router.flow.pull import settling
from router.flow.pull.holding import holdings, lock_held
from router.flow.sweep import sweep
from router.models import (
    Attempt,
    AttemptResult,
    Clock,
    Delivery,
    DeliveryState,
    Subscriber,
    Transport,
)
from router.operate.subscribers import delete_subscriber, edit_subscriber
from tests.contract.puller_processes import begin, pullers
from tests.contract.steps import (
    leases,
    publish_and_route,
    say,
    states,
    take,
    take_leases,
)
from tests.integration import patient_puller
from tests.integration.steps import lock_waits
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.usefixtures("postgresql_url")

PULLERS, EVENTS = 4, 400
URL = "https://a.example.com/"


def elsewhere(work: Callable[[], Any]) -> Callable[[], Any]:
    """The same on a connection of its thread, which is closed behind it."""

    def run() -> Any:
        try:
            return work()
        finally:
            connection.close()

    return run


def switched(subscriber: Subscriber, transport: Transport) -> None:
    edit_subscriber(subscriber, by="test", transport=transport, url=URL)


def what_was_told(text: str, what: str) -> list[int]:
    lines = [line.split() for line in text.splitlines()]
    return [int(pk) for kind, *ids in lines if kind == what for pk in ids]


def until_it_holds(process: Any) -> Iterator[str]:
    for line in process.stdout:
        yield line
        if line.startswith("holding"):
            return
    raise AssertionError("It ended before it held anything.")


@pytest.mark.long
def test_what_a_killed_puller_held_is_done_by_the_others_and_all_once(
    puller: Subscriber,
) -> None:
    publish_and_route(EVENTS)
    with pullers(puller, PULLERS, program=patient_puller.__name__) as running:
        victim, *others = running
        victim.stdin.write(f"{patient_puller.HOLD}\n")
        victim.stdin.flush()
        begin(others)
        lines = list(until_it_holds(victim))
        victim.kill()
        held = what_was_told(lines[-1], "holding")
        wait_until(lambda: Delivery.objects.open().count() == len(held))
        Delivery.objects.filter(pk__in=held).update(
            leased_until=Clock() - timedelta(seconds=1)
        )
        sweep()
        texts = [
            "".join(lines),
            *(other.communicate(timeout=60)[0] for other in others),
        ]
        assert [other.returncode for other in others] == [0] * len(others)

    ids = list(Delivery.objects.values_list("pk", flat=True))
    given = Counter(pk for text in texts for pk in what_was_told(text, "given"))
    assert given == Counter(ids) + Counter(held)
    done = [pk for text in texts for pk in what_was_told(text, "acknowledged")]
    assert sorted(done) == sorted(ids)
    assert set(states()) == {DeliveryState.ACKNOWLEDGED}
    results = Counter(Attempt.objects.values_list("result", flat=True))
    assert results == {
        AttemptResult.ACKNOWLEDGED: EVENTS,
        AttemptResult.VANISHED: len(held),
    }


@contextmanager
def at_work(subscriber: Subscriber) -> Iterator[list[Future[list[int]]]]:
    """Pullers that acknowledge until nothing is open, or until it is deleted."""

    def go_on() -> list[int]:
        done: list[int] = []
        while Delivery.objects.open().exists():
            try:
                held = take_leases(subscriber.pk, most=5)
            except NotPulling:
                if Subscriber.objects.get(pk=subscriber.pk).deleted_at:
                    return done
                continue
            answers = zip(held, say(settling.ack, held), strict=True)
            done += [lease.delivery_id for lease, is_done in answers if is_done]
        return done

    with ThreadPoolExecutor(PULLERS) as pool:
        yield [pool.submit(elsewhere(go_on)) for _ in range(PULLERS)]


def test_switching_while_they_pull_loses_and_doubles_nothing(
    puller: Subscriber,
) -> None:
    publish_and_route(EVENTS)
    with at_work(puller) as running:
        switch_count = 0
        try:
            while Delivery.objects.open().exists() and switch_count < 40:
                switched(puller, Transport.WEBHOOK)
                switched(puller, Transport.PULL)
                switch_count += 2
        finally:
            Subscriber.objects.update(transport=Transport.PULL)
        done = [pk for process in running for pk in process.result(60)]

    assert switch_count > 2
    assert sorted(done) == sorted(Delivery.objects.values_list("pk", flat=True))
    assert set(states()) == {DeliveryState.ACKNOWLEDGED}


def test_deleting_while_they_pull_cancels_exactly_what_was_not_done(
    puller: Subscriber,
) -> None:
    publish_and_route(EVENTS)
    with at_work(puller) as running:
        is_done = Delivery.objects.filter(state=DeliveryState.ACKNOWLEDGED)
        wait_until(is_done.exists)
        delete_subscriber(puller, by="test")
        done = [pk for process in running for pk in process.result(60)]
    # What an acknowledgement held at that moment is the sweep's to cancel.
    patience = EVENTS
    while Delivery.objects.open().exists() and patience:
        cancel_owed_to_deleted()
        patience -= 1

    acknowledged = is_done.values_list("pk", flat=True)
    assert sorted(done) == sorted(acknowledged)
    assert 0 < len(done) < EVENTS
    assert set(states()) == {DeliveryState.ACKNOWLEDGED, DeliveryState.CANCELLED}


def begin_ack(deliveries: Any) -> Any:
    """The first half of an acknowledgement: the deliveries are locked."""
    (holding,) = holdings(
        lock_held(leases(deliveries), may_touch=lambda _: True).values()
    )
    return holding


def test_whoever_switches_waits_for_who_acknowledges_and_not_the_other_way(
    puller: Subscriber,
) -> None:
    publish_and_route(2)
    pulled = take(puller, most=1)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            holding = begin_ack(pulled)
            edit = pool.submit(elsewhere(lambda: switched(puller, Transport.WEBHOOK)))
            wait_until(lock_waits)
            acknowledge(holding, run_ms={})
        edit.result(60)

    assert states() == [DeliveryState.ACKNOWLEDGED, DeliveryState.PENDING]


def test_what_is_pulled_while_a_switch_waits_is_no_trap_for_it(
    puller: Subscriber,
) -> None:
    publish_and_route(2)
    early = take(puller, most=1)
    may_end = threading.Event()

    def acknowledge_slowly() -> None:
        with transaction.atomic():
            holding = begin_ack(early)
            is_begun.set()
            assert may_end.wait(60)
            acknowledge(holding, run_ms={})

    is_begun = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(elsewhere(acknowledge_slowly))
        assert is_begun.wait(60)
        edit = pool.submit(elsewhere(lambda: switched(puller, Transport.WEBHOOK)))
        wait_until(lock_waits)
        late = take(puller, most=1)
        with transaction.atomic():
            holding = begin_ack(late)
            may_end.set()
            slow.result(60)
            wait_until(lambda: lock_waits() or edit.done())
            acknowledge(holding, run_ms={})
        edit.result(60)

    assert states() == [DeliveryState.ACKNOWLEDGED] * 2

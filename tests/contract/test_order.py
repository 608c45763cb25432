"""An ordered subscriber gets the events of one key in the order of the log."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from router.contract.outcomes import Dead, Evidence, Retry
from router.flow import order
from router.flow.deliver.claiming import claims
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.settling import acknowledge, settle_failure
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.order import release_stuck
from router.flow.route.routing import route_batch
from router.flow.sweep import sweep
from router.models import Delivery, DeliveryState, FailedTask, Subscriber
from router.operate import failed_tasks
from router.operate.subscribers import edit_subscriber
from router.testing import deliver_due
from tests.contract.keyed_router import KeyedRouter, subscribe
from tests.contract.keys import (
    acknowledge_all,
    happen,
    lease,
    open_by_key,
    rounds,
)
from tests.contract.steps import Subscribe, let_leases_run_out, mark
from tests.servers.receiving import Received, Receiver, status
from tests.servers.waiting import wait_until

HOT, CHUNK = 1_000, 100


def test_what_came_before_in_and_after_an_outage_arrives_in_the_order_of_its_key(
    bus: KeyedRouter,
) -> None:
    subscribe()
    keys = [f"k{n % 7}" for n in range(60)]
    happen(*keys)
    deliver_due()
    bus.is_down = True
    happen(*keys, first=61)
    rounds(3)
    happen(*keys, first=121)
    bus.is_down = False

    rounds()

    assert not Delivery.objects.open().exists()
    expected = {
        f"k{key}": [n for n in range(1, 181) if (n - 1) % 60 % 7 == key]
        for key in range(7)
    }
    assert bus.taken == expected
    assert not bus.overlapping


def test_a_failing_event_holds_its_own_key_alone(bus: KeyedRouter) -> None:
    subscribe()
    bus.failing = {2}
    happen("a", "a", "a", "b", "b", "", "a")

    deliver_due()

    assert bus.taken == {"a": [1], "b": [4, 5], "": [6]}
    assert open_by_key() == {"a": ["pending", "held", "held"]}
    bus.failing = ()
    rounds(1)
    assert bus.taken["a"] == [1, 2, 3, 7]
    assert not Delivery.objects.open().exists()


def test_a_key_whose_event_is_dead_is_held_until_an_operator_decides(
    bus: KeyedRouter,
) -> None:
    subscribe()
    bus.refused = {1, 4}
    happen("a", "a", "b", "b", "b", "c")
    rounds(2)

    assert bus.taken == {"b": [3], "c": [6]}
    assert open_by_key() == {"a": ["dead", "held"], "b": ["dead", "held"]}
    bus.refused = ()
    of_a, of_b = FailedTask.objects.order_by("event__data__n").values_list(
        "pk", flat=True
    )
    failed_tasks.discard([of_a], by="command")
    failed_tasks.retry([of_b], by="command")
    rounds(1)
    assert bus.taken == {"a": [2], "b": [3, 4, 5], "c": [6]}
    assert not open_by_key()


def test_a_key_goes_on_after_a_dead_event_where_that_is_chosen(
    bus: KeyedRouter,
) -> None:
    subscribe(on_dead="skip")
    bus.refused = {2}
    happen("a", "a", "a", "a")

    rounds(2)

    assert bus.taken == {"a": [1, 3, 4]}
    bus.failing, bus.refused = {2}, ()
    happen("a", first=5)
    failed_tasks.retry([FailedTask.objects.get().pk], by="command")
    happen("a", first=6)
    # It has its place again: what came after it, and is open, waits for one of both.
    assert sorted(open_by_key()["a"]) == ["held", "held", "pending"]
    bus.failing = ()
    rounds(3)
    assert sorted(bus.taken["a"]) == [1, 2, 3, 4, 5, 6]
    assert bus.taken["a"].index(5) < bus.taken["a"].index(6)


def test_what_is_dead_holds_its_key_no_more_once_that_is_chosen(
    bus: KeyedRouter,
) -> None:
    row = subscribe()
    bus.refused = {1}
    happen("a", "a")
    rounds(1)
    assert open_by_key() == {"a": ["dead", "held"]}

    edit_subscriber(row, by="olga", on_dead="skip")
    assert release_stuck() == 1
    deliver_due()

    assert bus.taken == {"a": [2]}


def test_an_event_that_dies_while_it_is_held_holds_its_key(bus: KeyedRouter) -> None:
    row = subscribe()
    happen("a")
    # What no filter says: routing gives such an event up, and it has its place.
    Subscriber.objects.update(filter={"unheard": "of"})
    happen("a", first=2)
    Subscriber.objects.update(filter=None)
    happen("a", first=3)
    assert open_by_key() == {"a": ["pending", "dead", "held"]}

    deliver_due()
    assert release_stuck() == 0

    assert bus.taken == {"a": [1]}
    assert row.is_ordered
    assert open_by_key() == {"a": ["dead", "held"]}


def test_what_lost_its_lease_takes_nothing_along(
    bus: KeyedRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = subscribe()
    happen("a", "a", "b")
    ids = mark(row)
    look = order.followers_that_may_go

    def look_too_late(*args: Any) -> list[int]:
        let_leases_run_out()
        sweep()
        return look(*args)

    monkeypatch.setattr(order, "followers_that_may_go", look_too_late)

    assert [len(claimed.deliveries) for claimed in claims(row.pk, ids)] != [3]
    monkeypatch.undo()
    assert open_by_key()["a"][1] == "held"


@pytest.mark.one_database
def test_a_key_with_very_many_events_travels_in_chunks(bus: KeyedRouter) -> None:
    row = subscribe()
    happen("cold", *["hot"] * HOT, "cold")
    messages = 0
    while ids := mark(row):
        messages += 1
        deliver_chunk(row.pk, ids)

    assert bus.taken["hot"] == list(range(2, HOT + 2))
    assert bus.taken["cold"] == [1, HOT + 2]
    assert messages <= HOT / CHUNK + 3
    assert not Delivery.objects.open().exists()


def test_what_was_not_acknowledged_of_a_chunk_is_held_behind_the_first_of_it(
    bus: KeyedRouter,
) -> None:
    row = subscribe()
    happen("a", "a", "a", "b")
    claimed = lease(row)
    assert len(claimed.deliveries) == 4
    first = claimed.deliveries[0]

    let_leases_run_out()
    sweep()

    assert open_by_key() == {"a": ["pending", "held", "held"], "b": ["pending"]}
    # The worker wakes too late.
    settle_failure(claimed.only(first), Retry(Evidence("Late")), run_ms=1)
    rounds()
    assert bus.taken == {"a": [1, 2, 3], "b": [4]}


def test_what_is_routed_while_the_one_before_it_is_closed_is_released_by_the_sweep(
    bus: KeyedRouter,
) -> None:
    row = subscribe()
    happen("a", "a")
    claimed = lease(row)
    if connection.vendor == "postgresql":
        with transaction.atomic():
            acknowledge(claimed, run_ms={})
            elsewhere(lambda: happen("a", first=3))
    else:
        acknowledge_all(claimed)
        happen("a", first=3)
        Delivery.objects.filter(state=DeliveryState.PENDING).update(due_at=None)
    assert open_by_key() == {"a": ["held"]}

    assert release_stuck() == 1

    deliver_due()
    assert bus.taken == {"a": [3]}
    assert release_stuck() == 0


def test_the_sweep_looks_once_more_at_what_another_had_locked(
    bus: KeyedRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor != "postgresql":
        return
    monkeypatch.setattr(order, "BATCH", 1)
    monkeypatch.setattr(order, "_looked_up_to", {})
    row = subscribe()
    happen("a", "a", "b", "b")
    Delivery.objects.filter(event__data__n=1).cancel()

    with transaction.atomic():
        order.lock_subscriber(row.pk)
        elsewhere(release_stuck)

    assert release_stuck() == 1
    assert open_by_key() == {"a": ["pending"], "b": ["pending", "held"]}


def test_what_dies_while_an_operator_lets_the_dead_pass_holds_nothing(
    bus: KeyedRouter,
) -> None:
    if connection.vendor != "postgresql":
        return
    row = subscribe()
    happen("a")
    claimed = lease(row)
    happen("a", first=2)

    def let_the_dead_pass() -> None:
        try:
            edit_subscriber(row, by="olga", on_dead="skip")
        finally:
            connection.close()

    operator = threading.Thread(target=let_the_dead_pass)
    with transaction.atomic():
        settle_failure(claimed, Dead(Evidence("Never")), run_ms=1)
        operator.start()
        wait_until(is_waited_for, 20)
    operator.join(20)
    assert release_stuck() == 1
    rounds()

    assert bus.taken == {"a": [2]}


def is_waited_for() -> bool:
    """Whether another transaction waits for the end of this one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_locks WHERE NOT granted "
            "AND transactionid = pg_current_xact_id()::xid"
        )
        return cursor.fetchone() is not None


def elsewhere(work: Callable[[], object]) -> None:
    """Do it in a session of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_a_key_is_never_with_two_workers(bus: KeyedRouter) -> None:
    if connection.vendor != "postgresql":
        return
    subscribe()
    happen(*[f"k{n % 5}" for n in range(300)])
    problems: list[Exception] = []

    def serve() -> None:
        try:
            while Delivery.objects.open().exists():
                route_batch()
                for row in subscribers_due():
                    if chunk := mark_chunk(row):
                        deliver_chunk(row.pk, chunk.ids)
        except Exception as error:  # noqa: BLE001 - the test fails with it
            problems.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=serve) for _ in range(3)]
    for worker in workers:
        worker.start()
    happen(*[f"k{n % 5}" for n in range(200)], first=301)
    for worker in workers:
        worker.join(60)

    assert not problems
    assert not bus.overlapping
    assert {key: sorted(each) for key, each in bus.taken.items()} == bus.taken
    assert sum(map(len, bus.taken.values())) == 500


def test_webhooks_of_a_key_are_posted_one_after_the_other(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    failing = [2]
    posted: list[int] = []

    def behave(connection: Any, received: Received) -> None:
        number = json.loads(received.body)["data"]["n"]
        code = 503 if number in failing else 204
        posted.extend([number] if code == 204 else [])
        status(code)(connection, received)

    receiver.behave = behave
    subscribe(receiver.url, ordering="key")
    happen("a", "a", "b", "a", "b")
    deliver_due()
    assert sorted(posted) == [1, 3, 5]
    failing.clear()

    rounds(3)

    assert [n for n in posted if n in (1, 2, 4)] == [1, 2, 4]
    assert [n for n in posted if n in (3, 5)] == [3, 5]
    assert not open_by_key()


def test_an_event_without_a_key_waits_for_none(bus: KeyedRouter) -> None:
    subscribe()
    bus.failing = {1}
    happen("", "", "")

    deliver_due()

    assert bus.taken == {"": [2, 3]}

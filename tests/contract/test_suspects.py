"""What a worker vanished with shares a message with others, and a lease with none."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth.models import User

from router.db import session
from router.flow.deliver.claiming import claim
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.releasing import release
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.sweep import sweep
from router.models import Delivery, DeliveryState, FailedTask, Subscriber
from router.public import Event
from tests.contract.steps import (
    delivery_ids,
    let_leases_run_out,
    publish_and_route,
)
from tests.receivers import Declare, Receiver


class WorkerDies(BaseException):
    """Nothing of what runs after it in the worker would run after SIGKILL either."""


def declare_rows(declare: Declare, **options: Any) -> Receiver:
    """A handler that gets a delivery for each event."""
    return declare(**{"is_safe_concurrently": True, **options})


def let_all_leases_run_out() -> None:
    let_leases_run_out()
    sweep()


def lose_a_worker(receiver: Receiver, ids: list[int]) -> None:
    """While it held all of these: they are suspects from now on."""
    assert claim(receiver.row.pk, ids) is not None
    let_all_leases_run_out()


def one_message(receiver: Receiver) -> tuple[int, ...]:
    """All that is due: its run time is such that a chunk is large."""
    Subscriber.objects.update(mean_run_ms=0.1)
    chunk = mark_chunk(receiver.row)
    assert chunk is not None
    return chunk.ids


def in_state(state: DeliveryState) -> list[int]:
    rows = Delivery.objects.filter(state=state).order_by("pk")
    return list(rows.values_list("pk", flat=True))


def leave_a_mark(event: Event) -> None:
    User.objects.create_user(f"user-{event.data['n']}")


def takes_a_while(event: Event) -> None:
    time.sleep(0.3)


@pytest.mark.parametrize("is_transactional", [True, False])
def test_a_chunk_of_suspects_drains_in_one_message(
    declare: Declare, is_transactional: bool
) -> None:
    listener = declare_rows(
        declare, behave=leave_a_mark, is_transactional=is_transactional
    )
    publish_and_route(50)
    ids = delivery_ids()
    lose_a_worker(listener, ids)

    message = one_message(listener)
    assert sorted(message) == ids
    deliver_chunk(listener.row.pk, message)

    assert in_state(DeliveryState.ACKNOWLEDGED) == ids
    assert User.objects.count() == 50
    assert set(Delivery.objects.values_list("attempts", "vanished")) == {(2, 0)}


@pytest.mark.parametrize("is_transactional", [True, False])
def test_poison_among_suspects_takes_nobody_along(
    declare: Declare, is_transactional: bool
) -> None:
    def choke(event: Event) -> None:
        if event.data["n"] == 1:
            raise WorkerDies
        leave_a_mark(event)

    options = {"is_transactional": is_transactional}
    listener = declare_rows(declare, behave=choke, **options)
    publish_and_route(4)
    ids = delivery_ids()
    lose_a_worker(listener, ids)
    message = one_message(listener)

    with pytest.raises(WorkerDies):
        deliver_chunk(listener.row.pk, message)

    assert in_state(DeliveryState.ACKNOWLEDGED) == ids[:1]
    assert in_state(DeliveryState.LEASED) == ids[1:2]
    untouched = Delivery.objects.filter(pk__in=ids[2:])
    assert set(untouched.values_list("state", "attempts")) == {("PENDING", 1)}

    # The broker brings the message of the dead worker again.
    deliver_chunk(listener.row.pk, message)

    assert in_state(DeliveryState.ACKNOWLEDGED) == [ids[0], *ids[2:]]
    assert User.objects.count() == 3
    for _ in range(5):
        assert not FailedTask.objects.exists()
        let_all_leases_run_out()
        if Delivery.objects.open().exists():
            with pytest.raises(WorkerDies):
                deliver_chunk(listener.row.pk, one_message(listener))
    assert FailedTask.objects.get().delivery_id == ids[1]
    assert Delivery.objects.get(pk=ids[1]).attempts == 6


def test_the_others_of_a_message_run_first_as_one_chunk(declare: Declare) -> None:
    leased: list[list[int]] = []
    listener = declare_rows(
        declare, behave=lambda event: leased.append(in_state(DeliveryState.LEASED))
    )
    publish_and_route(5)
    ids = delivery_ids()
    lose_a_worker(listener, ids[:2])

    deliver_chunk(listener.row.pk, one_message(listener))

    assert leased == [ids[2:]] * 3 + [ids[:1], ids[1:2]]
    assert in_state(DeliveryState.ACKNOWLEDGED) == ids


def test_a_suspect_that_fails_is_settled_before_the_next_is_claimed(
    declare: Declare,
) -> None:
    def fail_first(event: Event) -> None:
        if event.data["n"] == 0:
            raise ValueError("no use")

    listener = declare_rows(declare, behave=fail_first)
    publish_and_route(3)
    ids = delivery_ids()
    lose_a_worker(listener, ids)

    deliver_chunk(listener.row.pk, one_message(listener))

    assert in_state(DeliveryState.ACKNOWLEDGED) == ids[1:]
    failed = Delivery.objects.get(pk=ids[0])
    assert (failed.state, failed.failures, failed.vanished) == ("PENDING", 1, 0)


def test_a_suspect_that_is_given_back_unbegun_remains_one(declare: Declare) -> None:
    listener = declare_rows(declare)
    publish_and_route(1)
    (suspect,) = delivery_ids()
    lose_a_worker(listener, [suspect])
    claimed = claim(listener.row.pk, [suspect])
    assert claimed is not None

    release(claimed)

    given_back = Delivery.objects.get()
    assert (given_back.state, given_back.attempts, given_back.vanished) == (
        DeliveryState.PENDING,
        1,
        1,
    )


def test_suspects_that_the_message_has_no_time_for_wait_for_their_mark(
    declare: Declare, settings: Any
) -> None:
    settings.ROUTER = {"LEASE_SECONDS": 3.0, "TIME_LIMIT_SECONDS": 0.8}
    listener = declare_rows(declare, behave=takes_a_while)
    publish_and_route(10)
    ids = delivery_ids()
    lose_a_worker(listener, ids)

    deliver_chunk(listener.row.pk, one_message(listener))

    begun = len(listener.seen)
    assert 1 <= begun < 10
    assert in_state(DeliveryState.ACKNOWLEDGED) == ids[:begun]
    waiting = Delivery.objects.filter(state=DeliveryState.PENDING)
    assert set(waiting.values_list("attempts", "vanished")) == {(1, 1)}
    # The next may have been claimed, and given back, when the time was over.
    assert waiting.filter(dispatched_until__isnull=True).count() <= 1


def test_a_breaker_that_opens_holds_the_suspects_that_are_left(
    declare: Declare,
) -> None:
    def refuse(event: Event) -> None:
        raise ValueError("no use")

    listener = declare_rows(declare, behave=refuse)
    publish_and_route(9)
    lose_a_worker(listener, delivery_ids())

    deliver_chunk(listener.row.pk, one_message(listener))

    assert len(listener.seen) == 5
    assert Delivery.objects.filter(vanished=1).count() == 4


@pytest.mark.usefixtures("own_connection")
@pytest.mark.parametrize(
    ("wary_seconds", "leased_at_once"), [(60, [1, 1, 1]), (0, [3, 2, 1])]
)
def test_after_a_session_was_lost_each_has_a_lease_of_its_own_for_a_while(
    declare: Declare,
    settings: Any,
    wary_seconds: float,
    leased_at_once: list[int],
) -> None:
    seen: list[int] = []
    listener = declare(
        behave=lambda event: seen.append(len(in_state(DeliveryState.LEASED))),
        is_transactional=False,
    )
    publish_and_route(3)
    message = one_message(listener)
    settings.ROUTER = {**settings.ROUTER, "WARY_SECONDS": wary_seconds}
    session.drop_lost_session()

    deliver_chunk(listener.row.pk, message)

    assert len(in_state(DeliveryState.ACKNOWLEDGED)) == 3
    assert seen == leased_at_once

"""A chunk of the stream that is cut, late, lost or left behind."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone

from router.contract.errors import LeaseLost
from router.flow.cursor.reading import next_chunk
from router.flow.deliver.claiming import claim
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.settling import acknowledge
from router.flow.deliver.stream import serve
from router.flow.deliver.stream_settling import acknowledge_chunk
from router.flow.sweep import sweep
from router.models import (
    Acknowledgement,
    Attempt,
    BreakerState,
    Cursor,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    Turn,
)
from router.public import Event
from router.testing import deliver_due, skip_waits
from tests.contract.steps import (
    boom,
    fates,
    let_the_turn_run_out,
    publish_and_route,
    publish_events,
)
from tests.contract.stream_steps import (
    cursor,
    give_back,
    is_measured,
    leave_a_mark,
    marks,
    turn,
)
from tests.receivers import Declare, Receiver

pytestmark = pytest.mark.django_db(transaction=True)


class WorkerDies(BaseException):
    """Nothing of what runs after it in the worker would run after SIGKILL either."""


def test_a_chunk_is_cut_at_a_failure_and_each_effect_is_there_once(
    declare: Declare,
) -> None:
    def fail_at_two_and_three(event: Event) -> None:
        leave_a_mark(event)
        if event.data["n"] in (2, 3):
            raise ValueError("after its effect")

    listener = declare(behave=fail_at_two_and_three)
    is_measured()
    publish_events(5)

    deliver_due()

    # The first of a chunk that fails was alone when it did.
    assert [event.data["n"] for event in listener.seen] == [0, 1, 2, 0, 1, 2, 3, 4]
    assert marks() == {"user-0", "user-1", "user-4"}
    assert fates() == [*["ACKNOWLEDGED"] * 2, *["PENDING"] * 2, "ACKNOWLEDGED"]
    assert {each.failures for each in Delivery.objects.all()} == {1}
    assert turn().token is None


def test_an_event_that_failed_only_once_is_acknowledged_in_its_place(
    declare: Declare,
) -> None:
    seen: Counter[int] = Counter()

    def fail_once(event: Event) -> None:
        seen[event.data["n"]] += 1
        if event.data["n"] == 1 and seen[1] == 1:
            raise ValueError("the first time")

    declare(behave=fail_once)
    is_measured()
    publish_events(3)
    deliver_due()
    assert fates() == ["ACKNOWLEDGED"] * 3
    assert not Delivery.objects.exists()


def hang_at_two(event: Event) -> None:
    leave_a_mark(event)
    while event.data["n"] == 2:
        pass


def test_what_hangs_until_its_time_limit_does_so_once(declare: Declare) -> None:
    listener = declare(behave=hang_at_two, time_limit_seconds=1.0)
    is_measured()
    publish_events(5)

    deliver_due()

    assert [event.data["n"] for event in listener.seen].count(2) == 1
    assert marks() == {"user-0", "user-1", "user-3", "user-4"}
    assert Attempt.objects.get().error.startswith("TimeLimitExceeded")
    assert fates().count("ACKNOWLEDGED") == 4


def test_what_hangs_is_set_aside_though_its_neighbours_have_no_time_left(
    declare: Declare, settings: Any, let_pass: Callable[[float], None]
) -> None:
    times = {"LEASE_SECONDS": 40, "TIME_LIMIT_SECONDS": 1.0}
    settings.ROUTER = {**times, "RETRY_FIRST_SECONDS": 600}

    def hang_late(event: Event) -> None:
        if event.data["n"] == 2:
            let_pass(39.5)
        hang_at_two(event)

    listener = declare(behave=hang_late)
    is_measured()
    publish_and_route(5)

    serve(listener.row.pk)

    assert fates() == ["PENDING"] * 5
    assert Delivery.objects.get().event.data["n"] == 2
    assert (turn().token, cursor().position) == (None, 0)
    deliver_due()
    assert [event.data["n"] for event in listener.seen].count(2) == 1
    assert fates().count("ACKNOWLEDGED") == 4


def test_what_the_lease_leaves_no_time_for_is_given_back(
    declare: Declare, settings: Any
) -> None:
    settings.ROUTER = {"LEASE_SECONDS": 4.0, "TIME_LIMIT_SECONDS": 3.8}
    listener = declare(behave=lambda event: time.sleep(0.15))
    is_measured()
    publish_and_route(10)

    serve(listener.row.pk)

    begun = len(listener.seen)
    assert 1 <= begun < 10
    assert fates() == ["ACKNOWLEDGED"] * begun + ["PENDING"] * (10 - begun)
    assert (turn().token, cursor().position) == (None, begun)


def test_nothing_of_a_cut_chunk_runs_again_without_time_for_it(
    declare: Declare, settings: Any, let_pass: Callable[[float], None]
) -> None:
    settings.ROUTER = {"LEASE_SECONDS": 90, "TIME_LIMIT_SECONDS": 50}

    def fail_late(event: Event) -> None:
        if event.data["n"] == 9:
            let_pass(45)
            raise ValueError("late")

    listener = declare(behave=fail_late)
    is_measured()
    publish_and_route(10)

    serve(listener.row.pk)

    assert len(listener.seen) == 10
    assert fates() == ["PENDING"] * 10
    # It comes back smaller, or it would fail as late for ever.
    assert listener.row.mean_run_ms >= 40


def test_when_the_breaker_opens_the_rest_of_the_chunk_is_released(
    declare: Declare,
) -> None:
    listener = declare(behave=boom)
    is_measured()
    publish_and_route(20)
    serve(listener.row.pk)
    assert listener.row.breaker == BreakerState.OPEN
    assert (turn().token, cursor().position) == (None, 5)
    assert Delivery.objects.count() == 5


def choke_at_one(event: Event) -> None:
    if event.data["n"] == 1:
        raise WorkerDies
    leave_a_mark(event)


def run_and_die(receiver: Receiver) -> None:
    Turn.objects.update(marked_until=None)
    with pytest.raises(WorkerDies):
        serve(receiver.row.pk)
    let_the_turn_run_out()


def test_poison_kills_two_workers_at_most_before_it_is_alone(
    declare: Declare,
) -> None:
    listener = declare(behave=choke_at_one)
    is_measured()
    publish_and_route(4)

    run_and_die(listener)
    assert (fates(), cursor().alone_to) == (["PENDING"] * 4, 4)
    run_and_die(listener)
    assert fates() == ["ACKNOWLEDGED", "PENDING", "PENDING", "PENDING"]
    suspect = Delivery.objects.get()
    assert (suspect.vanished, suspect.attempts, cursor().position) == (1, 1, 2)
    assert Attempt.objects.get().result == "VANISHED"

    serve(listener.row.pk)
    assert marks() == {"user-0", "user-2", "user-3"}
    assert fates() == ["ACKNOWLEDGED", "PENDING", "ACKNOWLEDGED", "ACKNOWLEDGED"]
    for _ in range(5):
        assert not FailedTask.objects.exists()
        with pytest.raises(WorkerDies):
            deliver_chunk(listener.row.pk, [suspect.pk])
        Delivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        let_the_turn_run_out()
        sweep()
    assert FailedTask.objects.get().delivery == suspect


def test_a_settled_event_whose_lease_ran_out_is_no_suspect(declare: Declare) -> None:
    """The worker died once the chunk was settled, and before it gave the lease back."""
    listener = declare()
    publish_and_route(1)
    taken = next_chunk(listener.row.pk)
    assert taken is not None
    Cursor.objects.update(position=taken.until)
    let_the_turn_run_out()
    assert not Delivery.objects.exists()
    assert turn().token is None


def test_a_suspect_that_has_a_delivery_already_holds_up_no_sweep(
    declare: Declare,
) -> None:
    listener = declare()
    publish_and_route(1)
    assert next_chunk(listener.row.pk) is not None
    Delivery.objects.create(
        event=EventRecord.objects.get(),
        subscriber=listener.row,
        due_at=timezone.now(),
        created_at=timezone.now(),
    )
    let_the_turn_run_out()
    assert (turn().token, cursor().position) == (None, 1)
    assert Delivery.objects.get().vanished == 0


class Locked(Exception):
    sqlstate = "55P03"


def collide(event: Event) -> None:
    raise OperationalError("database is locked") from Locked()


def test_a_passing_error_counts_nothing_and_in_the_end_stops_nobody(
    declare: Declare,
) -> None:
    def collide_at_one(event: Event) -> None:
        if event.data["n"] == 1:
            collide(event)
        leave_a_mark(event)

    listener = declare(behave=collide_at_one)
    is_measured()
    publish_and_route(3)
    for troubles in (1, 2, 3):
        skip_waits()
        serve(listener.row.pk)
        assert (cursor().troubles, turn().token) == (troubles, None)
        assert turn().marked_until > timezone.now()
        assert fates() == ["PENDING"] * 3
    assert cursor().alone_to == 3
    for _ in range(7):
        skip_waits()
        serve(listener.row.pk)

    assert fates() == ["ACKNOWLEDGED", "PENDING", "ACKNOWLEDGED"]
    assert marks() == {"user-0", "user-2"}
    row = Delivery.objects.get()
    assert (row.failures, row.vanished, row.attempts) == (0, 0, 1)


def test_a_success_forgets_passing_errors(declare: Declare) -> None:
    troubles: list[int] = []

    def collide_twice(event: Event) -> None:
        troubles.append(1)
        if len(troubles) < 3:
            collide(event)

    listener = declare(behave=collide_twice)
    publish_and_route(1)
    for _ in range(3):
        skip_waits()
        serve(listener.row.pk)
    assert (fates(), cursor().troubles) == (["ACKNOWLEDGED"], 0)


def test_a_lost_lease_rolls_effects_back(declare: Declare) -> None:
    def lose_the_lease(event: Event) -> None:
        leave_a_mark(event)
        Turn.objects.update(token=uuid.uuid4())

    listener = declare(behave=lose_the_lease)
    publish_and_route(1)
    serve(listener.row.pk)
    assert listener.seen
    assert not marks()
    assert fates() == ["PENDING"]


def test_what_another_settled_meanwhile_is_a_lost_lease(declare: Declare) -> None:
    listener = declare()
    is_measured()
    publish_and_route(2)
    late = next_chunk(listener.row.pk)
    assert late is not None
    let_the_turn_run_out()
    Cursor.objects.update(alone_to=0)
    serve(listener.row.pk)
    assert fates() == ["ACKNOWLEDGED"] * 2

    with pytest.raises(LeaseLost), transaction.atomic():
        acknowledge_chunk(late, run_ms=[1.0, 1.0], is_last=True)

    assert Acknowledgement.objects.count() == 1


def test_a_cursor_that_moved_rolls_effects_back(declare: Declare) -> None:
    """A COMMIT that seemed lost was applied: the token alone would let it settle
    again."""

    def move(event: Event) -> None:
        leave_a_mark(event)
        Cursor.objects.update(position=1)

    listener = declare(behave=move)
    publish_and_route(1)
    serve(listener.row.pk)
    assert listener.seen
    assert (marks(), cursor().position) == (set(), 0)


def test_one_lease_is_for_the_cursor_and_for_what_was_set_aside(
    declare: Declare,
) -> None:
    listener = declare()
    publish_and_route(2)
    first = next_chunk(listener.row.pk)
    assert first is not None
    row = Delivery.objects.create(
        event=EventRecord.objects.first(),
        subscriber=listener.row,
        due_at=timezone.now(),
        created_at=timezone.now(),
    )
    assert next_chunk(listener.row.pk) is None
    assert claim(listener.row.pk, [row.pk]) is None
    give_back(first)
    assert claim(listener.row.pk, [row.pk]) is not None
    assert next_chunk(listener.row.pk) is None


def test_what_was_set_aside_is_not_acknowledged_without_the_turn(
    declare: Declare,
) -> None:
    """Its worker was stopped: the Turn was swept, its delivery not yet."""
    listener = declare(behave=boom)
    publish_and_route(1)
    serve(listener.row.pk)
    skip_waits()
    held = claim(listener.row.pk, [Delivery.objects.get().pk])
    assert held is not None
    let_the_turn_run_out()

    with pytest.raises(LeaseLost), transaction.atomic():
        acknowledge(held, run_ms={})

    assert Delivery.objects.get().state == DeliveryState.LEASED

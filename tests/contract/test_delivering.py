"""A chunk is delivered under one lease, its effects with its acknowledgement."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from router.flow.deliver.claiming import claim
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.settling import acknowledge
from router.flow.deliver.stream import serve
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.route.routing import route_batch
from router.flow.sweep import sweep
from router.models import (
    Acknowledgement,
    Attempt,
    Delivery,
    FailedTask,
    Subscriber,
)
from router.operate.declared import pause, resume
from router.public import Event
from router.testing import deliver_due, register_declared, skip_waits
from tests.contract.steps import (
    TYPE,
    boom,
    fates,
    let_leases_run_out,
    mark,
    publish_events,
    states,
)
from tests.receivers import Behaviour, Declare

#: How a transactional handler is served: by its cursor in the stream, or row by row.
IN_BOTH_WAYS = pytest.mark.parametrize(
    "way", [{}, {"is_safe_concurrently": True}], ids=["stream", "rows"]
)
ROWS = {"is_safe_concurrently": True}


@IN_BOTH_WAYS
def test_effects_and_acknowledgement_commit_together(
    declare: Declare, way: dict[str, bool]
) -> None:
    """The effect here is a user row; the second event's handler fails."""

    def make_user(event: Event) -> None:
        User.objects.create_user(f"user-{event.data['n']}")
        if event.data["n"] == 1:
            raise ValueError("after its effect")

    declare(behave=make_user, **way)
    publish_events(3)

    deliver_due()

    assert set(User.objects.values_list("username", flat=True)) == {"user-0", "user-2"}
    assert fates() == ["ACKNOWLEDGED", "PENDING", "ACKNOWLEDGED"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_lost_lease_rolls_the_effects_back(declare: Declare, count: int) -> None:
    """A stopped worker wakes after its lease was given to another."""

    def lose_the_lease(event: Event) -> None:
        User.objects.create_user(str(uuid.uuid4()))
        Delivery.objects.update(lease_token=uuid.uuid4())

    listener = declare(behave=lose_the_lease, **ROWS)
    publish_events(count)

    deliver_due()

    assert listener.seen
    assert not User.objects.exists()
    assert "ACKNOWLEDGED" not in states()


@IN_BOTH_WAYS
@pytest.mark.parametrize("run_ms", [None, 0.1], ids=["alone", "in a chunk"])
def test_a_swallowed_rollback_acknowledges_nobody(
    declare: Declare, way: dict[str, bool], run_ms: float | None
) -> None:
    def swallow(event: Event) -> None:
        User.objects.create_user(f"user-{event.data['n']}")
        if event.data["n"] == 1:
            connection.cursor().execute("ROLLBACK")
            connection.cursor().execute("BEGIN")

    declare(behave=swallow, **way)
    Subscriber.objects.update(mean_run_ms=run_ms)
    publish_events(3)

    deliver_due()

    assert set(User.objects.values_list("username", flat=True)) == {"user-0", "user-2"}
    assert fates() == ["ACKNOWLEDGED", "PENDING", "ACKNOWLEDGED"]


@IN_BOTH_WAYS
@pytest.mark.parametrize("run_ms", [None, 0.1], ids=["alone", "in a chunk"])
def test_a_fault_that_shows_at_commit_counts_as_the_handler_s(
    declare: Declare, way: dict[str, bool], run_ms: float | None
) -> None:
    def break_at_the_end(event: Event) -> None:
        if event.data["n"] == 1:
            # Its foreign key is checked at COMMIT, long after the handler returned.
            user = User.objects.create_user("member")
            User.groups.through.objects.create(user_id=user.pk, group_id=999)

    declare(behave=break_at_the_end, **way)
    Subscriber.objects.update(mean_run_ms=run_ms)
    publish_events(3)

    deliver_due()

    assert fates() == ["ACKNOWLEDGED", "PENDING", "ACKNOWLEDGED"]
    assert Delivery.objects.get(state="PENDING").failures == 1


@IN_BOTH_WAYS
def test_a_hook_after_the_commit_that_raises_changes_nothing(
    declare: Declare, way: dict[str, bool]
) -> None:
    ran: list[int] = []

    def with_hooks(event: Event) -> None:
        transaction.on_commit(lambda: 1 / 0)
        transaction.on_commit(lambda: ran.append(1))

    declare(behave=with_hooks, **way)
    publish_events()

    deliver_due()

    assert fates() == ["ACKNOWLEDGED"]
    assert ran == [1]


@IN_BOTH_WAYS
def test_pause_holds_what_is_owed_and_resume_lets_it_go(
    declare: Declare, way: dict[str, bool]
) -> None:
    listener = declare(**way)
    assert pause(listener.row.pk, reason="stock-taking", by="olga")
    assert not pause(listener.row.pk, reason="again", by="olga")
    publish_events(2)

    assert deliver_due() == 0
    assert fates() == ["PENDING", "PENDING"]

    assert resume(listener.row.pk, by="olga")
    assert not resume(listener.row.pk, by="olga")
    assert deliver_due() == 2


def test_a_pause_holds_what_is_already_on_its_way(declare: Declare) -> None:
    listener = declare(**ROWS)
    publish_events()
    route_batch()
    chunk = mark_chunk(listener.row)
    pause(listener.row.pk, reason="", by="olga")

    deliver_chunk(listener.row.pk, chunk.ids)

    assert listener.seen == []


def test_a_subscriber_that_lacks_a_setting_is_held_until_it_is_there(
    declare: Declare,
) -> None:
    lacking: list[str] = ["Set the address."]
    listener = declare(missing=lambda: lacking[0] if lacking else None)
    publish_events()

    assert deliver_due() == 0
    assert (listener.row.state, listener.row.state_reason) == (
        "paused",
        "Set the address.",
    )
    lacking.clear()
    register_declared()
    assert deliver_due() == 1


def test_a_subscriber_whose_code_is_gone_is_parked(declare: Declare) -> None:
    gone = Subscriber.objects.create(name="gone", title="Gone", events=[TYPE])
    publish_events()

    assert deliver_due() == 0
    deliver_chunk(gone.pk, [Delivery.objects.get().pk])

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("PENDING", 0)


def test_a_lease_that_runs_out_comes_back_suspected_and_dies_in_the_end(
    declare: Declare,
) -> None:
    listener = declare(**ROWS)
    publish_events(2)
    route_batch()
    everything = list(Delivery.objects.values_list("pk", flat=True))
    assert claim(listener.row.pk, everything) is not None
    let_leases_run_out()
    assert sweep() == 2

    assert claim(listener.row.pk, everything) is None

    for _ in range(5):
        assert claim(listener.row.pk, everything[:1]) is not None
        let_leases_run_out()
        sweep()

    failed = FailedTask.objects.get()
    assert failed.delivery_id == everything[0]
    assert failed.reason == "EXHAUSTED"
    assert Attempt.objects.filter(result="VANISHED").count() == 7


def test_an_answer_forgets_the_workers_that_vanished(declare: Declare) -> None:
    listener = declare(behave=boom)
    publish_events()
    route_batch()
    Delivery.objects.update(vanished=4)

    deliver_due()

    assert Delivery.objects.get().vanished == 0
    assert len(listener.seen) == 1


def test_a_late_acknowledgement_hits_nothing(declare: Declare) -> None:
    listener = declare(**ROWS)
    publish_events()
    route_batch()
    late = claim(listener.row.pk, [Delivery.objects.get().pk])
    let_leases_run_out()
    sweep()

    with pytest.raises(Exception, match="lease"), transaction.atomic():
        acknowledge(late, run_ms={})

    assert states() == ["PENDING"]


def test_a_transactional_subscriber_has_one_chunk_in_flight(declare: Declare) -> None:
    declare("one")
    declare("safe", is_safe_concurrently=True)
    declare("outside", is_transactional=False)
    Subscriber.objects.update(mean_run_ms=20)
    publish_events(30)
    route_batch()

    for subscriber in subscribers_due():
        mark_chunk(subscriber)

    assert {subscriber.name for subscriber in subscribers_due()} == {"safe", "outside"}


def hang(event: Event) -> None:
    while event.data["n"] == 1:
        time.sleep(0.01)


def hang_and_swallow_errors(event: Event) -> None:
    with suppress(Exception):
        hang(event)


@IN_BOTH_WAYS
@pytest.mark.parametrize("behave", [hang, hang_and_swallow_errors])
def test_a_slow_handler_ends_at_its_time_limit_as_its_own_failure(
    declare: Declare, behave: Behaviour, way: dict[str, bool]
) -> None:
    declare(behave=behave, time_limit_seconds=1.0, **way)
    publish_events(3)

    deliver_due()

    assert fates() == ["ACKNOWLEDGED", "PENDING", "ACKNOWLEDGED"]
    failed = Attempt.objects.get(result="RETRY")
    assert failed.error.startswith("TimeLimitExceeded")


def test_what_the_lease_leaves_no_time_for_is_given_back(
    declare: Declare, settings: Any
) -> None:
    settings.ROUTER = {"LEASE_SECONDS": 3.0, "TIME_LIMIT_SECONDS": 2.4}

    def take_a_while(event: Event) -> None:
        time.sleep(0.45)

    listener = declare(behave=take_a_while, **ROWS)
    publish_events(10)
    route_batch()

    deliver_chunk(listener.row.pk, mark(listener.row))

    begun = len(listener.seen)
    assert 1 <= begun < 10
    assert states().count("ACKNOWLEDGED") == begun
    assert set(Delivery.objects.values_list("state", "attempts")) == {
        ("ACKNOWLEDGED", 1),
        ("PENDING", 0),
    }


@IN_BOTH_WAYS
def test_a_chunk_that_fails_late_comes_back_smaller(
    declare: Declare,
    settings: Any,
    way: dict[str, bool],
    let_pass: Callable[[float], None],
) -> None:
    settings.ROUTER = {"LEASE_SECONDS": 90, "TIME_LIMIT_SECONDS": 50}

    def fail_late(event: Event) -> None:
        if event.data["n"] == 9:
            let_pass(45)
            raise ValueError("late")

    listener = declare(behave=fail_late, **way)
    publish_events(10)
    for _ in range(40):
        deliver_due()
        skip_waits()
        if FailedTask.objects.exists():
            break

    assert fates() == [*["ACKNOWLEDGED"] * 9, "DEAD"]
    late_runs = [event for event in listener.seen if event.data["n"] == 9]
    assert len(late_runs) <= 20, "the whole chunk came back again and again"


@pytest.mark.parametrize("count", [1, 20])
def test_the_statements_of_a_chunk_do_not_grow_with_it(
    declare: Declare, count: int, django_assert_max_num_queries: Any
) -> None:
    listener = declare(**ROWS)
    publish_events(count)
    route_batch()
    Subscriber.objects.update(mean_run_ms=0.1)
    chunk = mark_chunk(listener.row)

    # The first ones of a session tell it how to plan.
    with django_assert_max_num_queries(24):
        deliver_chunk(listener.row.pk, chunk.ids)

    assert len(listener.seen) == count


@pytest.mark.parametrize("count", [1, 20])
def test_the_statements_of_a_chunk_of_the_stream_do_not_grow_with_it(
    declare: Declare, count: int, django_assert_max_num_queries: Any
) -> None:
    listener = declare()
    publish_events(count)
    route_batch()
    Subscriber.objects.update(mean_run_ms=0.1)

    with django_assert_max_num_queries(24):
        serve(listener.row.pk)

    assert len(listener.seen) == count
    assert Acknowledgement.objects.count() == 1

"""How an event flows, step by step, without broker or worker."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from router.contract.errors import CausationTooDeep, EventConflict, InvalidEvent
from router.flow.deliver.claiming import claim
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.settling import acknowledge
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.route.routing import route_batch
from router.flow.sweep import sweep
from router.models import (
    Attempt,
    Clock,
    Delivery,
    EventRecord,
    FailedTask,
    Subscriber,
)
from router.operate import failed_tasks
from router.operate.declared import pause, resume
from router.operate.test_event import send_test_event
from router.public import Event, Reject, RetryLater, publish
from router.testing import deliver_due, register_declared, skip_waits
from tests.contract.conftest import Behaviour, Declare
from tests.contract.steps import TYPE, let_leases_run_out, mark, publish_events, states


def publish_and_roll_back() -> None:
    with transaction.atomic():
        publish_events()
        transaction.set_rollback(True)


def boom(event: Event) -> None:
    raise ValueError("no use")


def operator() -> User:
    return User.objects.create_user("olga")


def test_an_event_reaches_every_subscriber_that_wants_it(declare: Declare) -> None:
    one, two = declare("one"), declare("two", events=["thing.*"])
    other = declare("other", events=["purchase.completed"])

    publish_events()

    assert deliver_due() == 2
    assert [len(one.seen), len(two.seen), len(other.seen)] == [1, 1, 0]
    assert states() == ["ACKNOWLEDGED", "ACKNOWLEDGED"]
    assert one.seen[0].data == {"n": 0}
    assert one.row.last_acknowledged_at is not None


def test_what_is_rolled_back_nobody_hears_of(declare: Declare) -> None:
    listener = declare()

    publish_and_roll_back()

    assert deliver_due() == 0
    assert listener.seen == []


def test_positions_have_no_gaps_though_numbers_have(declare: Declare) -> None:
    declare()
    publish_events(2)
    publish_and_roll_back()
    publish_events(2)

    deliver_due()

    positions = EventRecord.objects.order_by("number").values_list("position")
    assert [position for (position,) in positions] == [1, 2, 3, 4]


@pytest.mark.parametrize("same_call", [True, False])
def test_the_same_event_twice_is_recorded_once(
    declare: Declare, same_call: bool
) -> None:
    listener = declare()

    first = publish(TYPE, {"a": 1, "b": 2}, source="/x", id="1")
    if not same_call:
        deliver_due()
    second = publish(TYPE, {"b": 2, "a": 1}, source="/x", id="1")

    assert (first.number, first.is_new) == (second.number, not second.is_new)
    deliver_due()
    assert len(listener.seen) == 1


def test_the_same_id_with_another_body_is_refused_and_the_transaction_lives(
    declare: Declare,
) -> None:
    publish(TYPE, {"n": 1}, source="/x", id="1")

    with transaction.atomic():
        with pytest.raises(EventConflict):
            publish(TYPE, {"n": 2}, source="/x", id="1")
        publish(TYPE, {"n": 2}, source="/x", id="2")

    assert EventRecord.objects.count() == 2


@pytest.mark.parametrize(
    ("envelope", "pointer"),
    [
        ({"type": ""}, "/type"),
        ({"id": "x" * 256}, "/id"),
        ({"subject": "a\nb"}, "/subject"),
        ({"traceparent": "00-0-0-0"}, "/traceparent"),
        ({"extensions": {"Not OK": "x"}}, "/Not OK"),
        ({"data": {"a": float("nan")}}, "/data"),
        ({"data": {"a": "\x00"}}, "/data"),
        ({"data": {"a": object()}}, "/data"),
        ({"time": timezone.now().replace(tzinfo=None)}, "/time"),
    ],
)
def test_an_event_that_breaks_the_rules_is_refused_with_a_pointer(
    transactional_db: None, envelope: dict[str, object], pointer: str
) -> None:
    given = {"type": TYPE, "data": {}, **envelope}

    with pytest.raises(InvalidEvent) as caught:
        publish(given.pop("type"), given.pop("data"), **given)

    assert pointer in [found for found, _ in caught.value.problems]
    assert not EventRecord.objects.exists()


def test_a_backslash_before_u0000_is_just_text(transactional_db: None) -> None:
    assert publish(TYPE, {"a": "\\u0000"}).is_new


def test_effects_and_acknowledgement_commit_together(declare: Declare) -> None:
    """The effect here is a user row; the second event's handler fails."""

    def make_user(event: Event) -> None:
        User.objects.create_user(f"user-{event.data['n']}")
        if event.data["n"] == 1:
            raise ValueError("after its effect")

    declare(behave=make_user)
    publish_events(3)

    deliver_due()

    assert set(User.objects.values_list("username", flat=True)) == {"user-0", "user-2"}
    assert sorted(states()) == ["ACKNOWLEDGED", "ACKNOWLEDGED", "PENDING"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_lost_lease_rolls_the_effects_back(declare: Declare, count: int) -> None:
    """A stopped worker wakes after its lease was given to another."""

    def lose_the_lease(event: Event) -> None:
        User.objects.create_user(str(uuid.uuid4()))
        Delivery.objects.update(lease_token=uuid.uuid4())

    listener = declare(behave=lose_the_lease)
    publish_events(count)

    deliver_due()

    assert listener.seen
    assert not User.objects.exists()
    assert "ACKNOWLEDGED" not in states()


def test_a_swallowed_rollback_acknowledges_nobody(declare: Declare) -> None:
    def swallow(event: Event) -> None:
        User.objects.create_user(f"user-{event.data['n']}")
        if event.data["n"] == 1:
            connection.cursor().execute("ROLLBACK")
            connection.cursor().execute("BEGIN")

    declare(behave=swallow)
    publish_events(3)

    deliver_due()

    assert set(User.objects.values_list("username", flat=True)) == {"user-0", "user-2"}
    assert sorted(states()) == ["ACKNOWLEDGED", "ACKNOWLEDGED", "PENDING"]


def test_a_fault_that_shows_at_commit_counts_as_the_handler_s(
    declare: Declare,
) -> None:
    def break_at_the_end(event: Event) -> None:
        if event.data["n"] == 1:
            # Its foreign key is checked at COMMIT, long after the handler returned.
            user = User.objects.create_user("member")
            User.groups.through.objects.create(user_id=user.pk, group_id=999)

    declare(behave=break_at_the_end)
    publish_events(3)

    deliver_due()

    assert sorted(states()) == ["ACKNOWLEDGED", "ACKNOWLEDGED", "PENDING"]
    assert Delivery.objects.get(state="PENDING").failures == 1


def test_a_hook_after_the_commit_that_raises_changes_nothing(declare: Declare) -> None:
    ran: list[int] = []

    def with_hooks(event: Event) -> None:
        transaction.on_commit(lambda: 1 / 0)
        transaction.on_commit(lambda: ran.append(1))

    declare(behave=with_hooks)
    publish_events()

    deliver_due()

    assert states() == ["ACKNOWLEDGED"]
    assert ran == [1]


@pytest.mark.parametrize(
    ("behave", "state", "reason"),
    [
        (boom, "PENDING", None),
        (lambda event: (_ for _ in ()).throw(SystemExit(1)), "PENDING", None),
        (lambda event: (_ for _ in ()).throw(Reject("never")), "DEAD", "REJECTED"),
    ],
    ids=["an error is tried again", "SystemExit as well", "Reject is final"],
)
def test_what_a_handler_raises_decides(
    declare: Declare, behave: object, state: str, reason: str | None
) -> None:
    declare(behave=behave)
    publish_events()

    deliver_due()

    assert states() == [state]
    assert FailedTask.objects.values_list("reason", flat=True).first() == reason


def test_retry_later_waits_exactly_as_asked(declare: Declare) -> None:
    def later(event: Event) -> None:
        raise RetryLater("busy", after_seconds=1234)

    declare(behave=later)
    publish_events()

    deliver_due()

    wait = Delivery.objects.get().due_at - timezone.now()
    assert timedelta(seconds=1225) < wait <= timedelta(seconds=1235)


def test_waits_grow_and_then_the_router_gives_up_with_its_evidence(
    declare: Declare,
) -> None:
    declare(behave=boom, max_failures=4, retry_first_seconds=64)
    publish_events()

    for _ in range(10):
        deliver_due()
        skip_waits()

    failed = FailedTask.objects.get()
    assert (failed.reason, failed.attempts) == ("EXHAUSTED", 4)
    assert failed.error == "ValueError: no use"
    assert "boom" in failed.traceback
    waits = Attempt.objects.order_by("number").values_list("wait_seconds", flat=True)
    ceilings = [64, 128, 256]
    assert all(wait <= most for wait, most in zip(waits, ceilings, strict=False))
    assert waits[3] is None


def test_a_death_is_told_by_an_event_once_per_incident(declare: Declare) -> None:
    declare(behave=boom, max_failures=1)
    heard = declare("alerts", events=["router.failed_task.opened"])
    publish_events(2)

    deliver_due()

    assert [event.data["is_first_of_incident"] for event in heard.seen] == [True, False]
    assert heard.seen[0].subject == "listener"
    assert "no use" not in str(heard.seen[0].data)


def test_failing_to_tell_of_a_death_makes_no_further_notice(declare: Declare) -> None:
    declare("alerts", behave=boom, events=["router.*", TYPE], max_failures=1)
    publish_events()

    deliver_due()

    assert EventRecord.objects.filter(type__startswith="router.").count() == 1
    assert FailedTask.objects.count() == 2


def test_one_sick_subscriber_leaves_the_others_alone(declare: Declare) -> None:
    declare("sick", behave=boom)
    healthy = declare("healthy")
    publish_events(3)

    deliver_due()

    assert len(healthy.seen) == 3


def test_a_retried_failed_task_is_delivered_and_kept_as_retried(
    declare: Declare,
) -> None:
    listener = declare(behave=boom, max_failures=1)
    publish_events()
    deliver_due()
    failed = FailedTask.objects.get()

    listener.behave = lambda event: None
    settled = failed_tasks.retry(
        [failed.pk], by="user olga", user=operator(), note="mended"
    )
    deliver_due()

    failed.refresh_from_db()
    assert settled.settled == (failed.pk,)
    assert states() == ["ACKNOWLEDGED"]
    assert (failed.state, failed.settled_by_name) == ("retried", "olga")
    assert failed.settled_at is not None
    assert Attempt.objects.order_by("pk").last().trigger == "MANUAL"


def test_another_death_is_a_new_failed_task_linked_to_the_old(
    declare: Declare,
) -> None:
    declare(behave=boom, max_failures=1)
    publish_events()
    deliver_due()
    first = FailedTask.objects.get()

    failed_tasks.retry([first.pk], by="key pager", note="hope")
    deliver_due()

    assert FailedTask.objects.open().get().previous == first


def test_acting_twice_is_refused_with_who_was_first(declare: Declare) -> None:
    declare(behave=boom, max_failures=1)
    publish_events()
    deliver_due()
    pk = FailedTask.objects.get().pk

    failed_tasks.discard([pk], by="key pager", note="not needed")
    again = failed_tasks.retry([pk, 999], by="user olga", note="no, retry")

    assert again.settled == ()
    assert [pk for pk, _ in again.refused] == [pk, 999]
    assert "already discarded by key pager" in again.refused[0][1]
    assert states() == ["CANCELLED"]


def test_pause_holds_what_is_owed_and_resume_lets_it_go(declare: Declare) -> None:
    listener = declare()
    assert pause(listener.row.pk, reason="stock-taking", by="olga")
    assert not pause(listener.row.pk, reason="again", by="olga")
    publish_events(2)

    assert deliver_due() == 0
    assert states() == ["PENDING", "PENDING"]

    assert resume(listener.row.pk, by="olga")
    assert not resume(listener.row.pk, by="olga")
    assert deliver_due() == 2


def test_a_pause_holds_what_is_already_on_its_way(declare: Declare) -> None:
    listener = declare()
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
    listener = declare()
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
    listener = declare()
    publish_events()
    route_batch()
    late = claim(listener.row.pk, [Delivery.objects.get().pk])
    let_leases_run_out()
    sweep()

    with pytest.raises(Exception, match="lease"), transaction.atomic():
        acknowledge(late, run_ms={})

    assert states() == ["PENDING"]


def test_what_is_published_in_a_handler_is_published_once(declare: Declare) -> None:
    """The first run publishes and fails; the second publishes the same event."""
    fails = [True]

    def publish_and_fail(event: Event) -> None:
        publish("parcel.sent", {})
        if fails:
            fails.pop()
            raise ValueError("after publishing")

    declare(behave=publish_and_fail, is_transactional=False)
    heard = declare("heard", events=["parcel.sent"])
    publish_events()

    deliver_due()
    skip_waits()
    deliver_due()

    assert len(heard.seen) == 1
    original = EventRecord.objects.get(type=TYPE)
    assert heard.seen[0].traceparent[3:35] == original.traceparent[3:35]


def test_events_in_a_circle_end(declare: Declare) -> None:
    refused: list[Exception] = []

    def echo(event: Event) -> None:
        try:
            publish(TYPE, {})
        except CausationTooDeep as error:
            refused.append(error)

    listener = declare(behave=echo)
    publish_events()

    deliver_due()

    assert len(listener.seen) == 33
    assert len(refused) == 1


def test_a_test_event_goes_all_the_way_without_side_effects(declare: Declare) -> None:
    listener, other = declare(), declare("other", events=["*"])

    send_test_event(listener.row.pk, by="user olga")

    assert deliver_due() == 1
    assert (listener.seen, other.seen) == ([], [])
    assert states() == ["ACKNOWLEDGED"]


def test_a_transactional_subscriber_has_one_chunk_in_flight(declare: Declare) -> None:
    declare("one")
    declare("safe", is_safe_concurrently=True)
    declare("outside", is_transactional=False)
    Subscriber.objects.update(mean_run_ms=20)
    publish_events(30)
    route_batch()

    for one in subscribers_due():
        mark_chunk(one)

    assert {one.name for one in subscribers_due()} == {"safe", "outside"}


def hang(event: Event) -> None:
    while event.data["n"] == 1:
        pass


def hang_and_swallow_errors(event: Event) -> None:
    with suppress(Exception):
        hang(event)


@pytest.mark.parametrize("behave", [hang, hang_and_swallow_errors])
def test_a_slow_handler_ends_at_its_time_limit_as_its_own_failure(
    declare: Declare, behave: Behaviour
) -> None:
    declare(behave=behave, time_limit_seconds=0.2)
    publish_events(3)

    deliver_due()

    assert sorted(states()) == ["ACKNOWLEDGED", "ACKNOWLEDGED", "PENDING"]
    failed = Attempt.objects.get(result="RETRY")
    assert failed.error.startswith("TimeLimitExceeded")


def test_what_the_lease_leaves_no_time_for_is_given_back(
    declare: Declare, settings: Any
) -> None:
    settings.ROUTER = {"LEASE_SECONDS": 1.0, "TIME_LIMIT_SECONDS": 0.8}

    def take_a_while(event: Event) -> None:
        ends_at = time.monotonic() + 0.15
        while time.monotonic() < ends_at:
            pass

    listener = declare(behave=take_a_while)
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


def test_a_chunk_that_fails_late_comes_back_smaller(
    declare: Declare, settings: Any
) -> None:
    settings.ROUTER = {"LEASE_SECONDS": 0.9, "TIME_LIMIT_SECONDS": 0.5}

    def fail_late(event: Event) -> None:
        if event.data["n"] == 9:
            ends_at = time.monotonic() + 0.45
            while time.monotonic() < ends_at:
                pass
            raise ValueError("late")

    listener = declare(behave=fail_late)
    publish_events(10)
    for _ in range(40):
        deliver_due()
        skip_waits()
        if FailedTask.objects.exists():
            break

    assert sorted(states()) == [*["ACKNOWLEDGED"] * 9, "DEAD"]
    late_runs = [event for event in listener.seen if event.data["n"] == 9]
    assert len(late_runs) <= 20, "the whole chunk came back again and again"


def test_megabytes_of_error_text_are_cut(declare: Declare) -> None:
    class Awkward(Exception):
        def __reduce__(self) -> tuple[object, ...]:
            raise TypeError("can't be pickled")

    def fail(event: Event) -> None:
        raise Awkward("\x00\ud800" + "x" * 5_000_000)

    declare(behave=fail, max_failures=1)
    publish_events()

    deliver_due()

    assert len(FailedTask.objects.get().error) == 2000


@pytest.mark.parametrize("count", [1, 20])
def test_the_statements_of_a_chunk_do_not_grow_with_it(
    declare: Declare, count: int, django_assert_max_num_queries: object
) -> None:
    listener = declare()
    publish_events(count)
    route_batch()
    Subscriber.objects.update(mean_run_ms=0.1)
    chunk = mark_chunk(listener.row)

    with django_assert_max_num_queries(14):
        deliver_chunk(listener.row.pk, chunk.ids)

    assert len(listener.seen) == count


def test_publishing_is_one_statement_whatever_listens(
    declare: Declare, django_assert_num_queries: object
) -> None:
    for n in range(5):
        declare(f"listener_{n}")
    publish_events()  # The first in a process reads the registered schemas.

    with django_assert_num_queries(1):
        publish(TYPE, {})


def test_the_clock_is_the_database_s_and_moves(transactional_db: None) -> None:
    publish(TYPE, {})
    with transaction.atomic():
        one, two = (
            EventRecord.objects.annotate(now=Clock()).first().now for _ in range(2)
        )

    assert one <= two
    assert abs(timezone.now() - two) < timedelta(seconds=30)

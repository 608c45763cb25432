"""Which failures are tried again, and when the router gives up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from router.models import (
    Attempt,
    Delivery,
    EventRecord,
    FailedTask,
)
from router.operate import failed_tasks
from router.public import Event, Reject, RetryLater, publish
from router.testing import deliver_due, skip_waits
from tests.contract.steps import (
    TYPE,
    boom,
    publish_events,
    states,
)
from tests.receivers import Declare


def operator() -> User:
    return User.objects.create_user("olga")


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


def test_an_event_reports_a_death_once_per_incident(declare: Declare) -> None:
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


def test_what_a_notice_caused_makes_no_further_notice(declare: Declare) -> None:
    def open_ticket(event: Event) -> None:
        publish("ticket.opened")

    declare("sick", behave=boom, events=[TYPE, "ticket.opened"], max_failures=1)
    declare("tickets", behave=open_ticket, events=["router.failed_task.opened"])
    publish_events()

    for _ in range(4):
        deliver_due()

    assert EventRecord.objects.filter(type__startswith="router.").count() == 1
    assert EventRecord.objects.filter(type="ticket.opened").count() == 1
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
        [failed.pk], by="user olga", user=operator(), note="fixed"
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
    second = failed_tasks.retry([pk, 999], by="user olga", note="no, retry")

    assert second.settled == ()
    assert [pk for pk, _ in second.refused] == [pk, 999]
    assert "already discarded by key pager" in second.refused[0][1]
    assert states() == ["CANCELLED"]


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

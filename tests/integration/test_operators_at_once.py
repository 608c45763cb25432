"""Operators act while workers serve a cursor: every act ends, and nothing is lost."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from router.contract.errors import DoesNotApply, NotResendable
from router.flow.deliver.stream import serve
from router.models import Delivery, EventRecord, Subscriber, Turn
from router.operate.adjust import set_pace
from router.operate.declared import pause, resume
from router.operate.interventions import close_breaker, skip, try_now
from router.operate.resend import resend_event
from router.operate.subscribers import delete_subscriber
from router.public import Event, publish
from router.registry import isolated
from router.testing import deliver_due, is_settled, route, skip_waits
from tests.integration.test_side_by_side import side_by_side
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)
TYPE = "thing.happened"


@pytest.fixture(autouse=True)
def _locks_of_rows() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks no single row")


def leave_a_mark(event: Event) -> None:
    User.objects.create_user(f"user-{event.data['n']}", password=None)


def test_acts_beside_running_chunks_end_and_lose_nothing(declare: Declare) -> None:
    failed: set[int] = set()

    def fail_once(event: Event) -> None:
        n = event.data["n"]
        if n % 7 == 0 and n not in failed:
            failed.add(n)
            raise ValueError("not yet")
        leave_a_mark(event)

    busy = declare("busy", fail_once).row
    with transaction.atomic():
        for n in range(300):
            publish(TYPE, {"n": n})
    until = time.monotonic() + 120

    def work() -> None:
        while time.monotonic() < until and not (is_over and is_settled()):
            skip_waits()
            deliver_due()

    is_over: list[bool] = []

    def operate() -> None:
        for n in range(25):
            pause(busy.pk, reason="", by="user olga")
            resume(busy.pk, by="user olga")
            set_pace(busy.pk, by="user olga", in_flight_limit=n + 1)
            for act in (try_now, close_breaker):
                with suppress(DoesNotApply):
                    act(busy.pk, by="user olga")
        is_over.append(True)

    side_by_side(work, work, operate)

    assert is_settled()
    assert User.objects.filter(username__startswith="user-").count() == 300
    assert not Delivery.objects.filter(state="DEAD").exists()


def test_skips_and_resends_beside_running_chunks_end(declare: Declare) -> None:
    def fail_for_some(event: Event) -> None:
        if event.data["n"] % 5 == 0:
            raise ValueError("no")

    busy = declare("busy", fail_for_some).row
    with transaction.atomic():
        for n in range(200):
            publish(TYPE, {"n": n})
    numbers = list(EventRecord.objects.order_by("pk").values_list("pk", flat=True))
    until = time.monotonic() + 120
    resent: list[int] = []

    def work() -> None:
        while time.monotonic() < until and len(resent) < 20:
            skip_waits()
            deliver_due()

    def operate() -> None:
        while time.monotonic() < until and len(resent) < 20:
            for pk in Delivery.objects.filter(state="PENDING").values_list("pk")[:3]:
                with suppress(DoesNotApply):
                    skip(pk[0], by="user olga")
            for number in numbers[1 + len(resent) :: 37]:
                with suppress(NotResendable):
                    resent.append(resend_event(number, busy.pk, by="user olga").pk)

    side_by_side(work, work, operate)

    assert len(resent) >= 20
    runs = Delivery.objects.filter(subscriber=busy).values_list("event_id", "run")
    assert len(runs) == len(set(runs))


def test_deleted_while_a_chunk_runs_its_effects_roll_back(declare: Declare) -> None:
    def be_deleted(event: Event) -> None:
        def delete() -> None:
            with isolated():
                delete_subscriber(Subscriber.objects.get(pk=gone.pk), by="user olga")

        leave_a_mark(event)
        side_by_side(delete)

    gone = declare("gone", be_deleted).row
    publish(TYPE, {"n": 1})
    route()

    serve(gone.pk)

    assert not User.objects.filter(username="user-1").exists()
    assert not Turn.objects.filter(pk=gone.pk).exists()
    assert not Delivery.objects.filter(subscriber=gone).exists()

"""A state machine drives pulling against a model of who holds which lease.

Two pullers, and a worker while the transport is another, are played by one thread:
every call of theirs is a transaction of its own.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from router.contract.errors import LeaseLost, NotPulling
from router.flow.breaker import breaker
from router.flow.deliver.claiming import claim
from router.flow.deliver.settling import acknowledge
from router.flow.lease import Claim
from router.flow.pull import settling
from router.flow.pull.holding import Lease
from router.flow.pull.leasing import pull
from router.flow.route.routing import route_batch
from router.flow.sweep import sweep
from router.models import (
    Attempt,
    BreakerState,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    LogHead,
    Subscriber,
    SubscriberState,
    Transport,
)
from router.operate import failed_tasks
from router.operate.declared import pause, resume
from router.operate.switch_transport import switch_transport
from router.public import publish
from tests.contract.steps import (
    TYPE,
    a_puller,
    extend,
    leases,
    let_leases_run_out,
    say,
)

PULLERS = ["pull", "pull", "ack", "ack", "nack", "extend", "release"]
WORLD = ["publish", "some_leases_run_out", "sweep", "time_passes"] + [
    "pause_or_resume",
    "switch",
    "a_worker_works",
    "an_operator_settles",
]
PICK = st.integers(0, 59)
#: More of them look deeper; more than 30 are others each time.
EXAMPLES = int(os.environ.get("PROTOCOL_EXAMPLES", "0"))
LONG_SECONDS = 600


class Pulling(RuleBasedStateMachine):
    """Few rules, each with many acts: Hypothesis leaves out some rules in each run."""

    def __init__(self) -> None:
        super().__init__()
        _empty()
        self.puller = Subscriber.objects.get()
        self.published: set[int] = set()
        #: The leases that hold, by delivery.
        self.live: dict[int, uuid.UUID] = {}
        #: All that each of the two pullers was ever given, and the worker.
        self.given: tuple[list[Lease], list[Lease]] = ([], [])
        self.claims: list[Claim] = []
        #: By delivery, the last lease that a puller ended, and how.
        self.ended: dict[int, tuple[uuid.UUID | None, str]] = {}
        self.acknowledged: Counter[int] = Counter()
        self.olga, _ = User.objects.get_or_create(username="olga")

    @initialize(count=st.integers(3, 12))
    def something_is_owed(self, count: int) -> None:
        self.publish(count)

    @rule(act=st.sampled_from(PULLERS), pick=PICK)
    def a_puller_goes_on(self, act: str, pick: int) -> None:
        getattr(self, act)(pick)

    @rule(act=st.sampled_from(WORLD), pick=PICK)
    def the_world_goes_on(self, act: str, pick: int) -> None:
        getattr(self, act)(pick)

    def publish(self, pick: int) -> None:
        for _ in range(1 + pick % 4):
            self.published.add(publish(TYPE, {}).number)
        route_batch()

    def row(self) -> Subscriber:
        self.puller.refresh_from_db()
        return self.puller

    def pull(self, pick: int) -> None:
        before = set(self.live)
        if self.row().transport != Transport.PULL:
            with pytest.raises(NotPulling):
                pull(self.puller.pk, most=5, lease_seconds=LONG_SECONDS)
            return
        pulled = pull(self.puller.pk, most=1 + pick % 5, lease_seconds=LONG_SECONDS)
        assert pulled.state == self.puller.state
        assert pulled.state == SubscriberState.ACTIVE or not pulled.deliveries
        assert before.isdisjoint(delivery.pk for delivery in pulled.deliveries)
        given = Delivery.objects.filter(pk__in=[each.pk for each in pulled.deliveries])
        if any(delivery.vanished for delivery in given):
            assert len(given) == 1
        for delivery in given:
            assert delivery.lease_token == pulled.lease_token is not None
            self.live[delivery.pk] = delivery.lease_token
            self.given[pick % 2].extend(leases([delivery], LONG_SECONDS))

    def some_of(self, pick: int) -> list[Lease]:
        """What a puller has, or had; and, at times, what it guesses."""
        given = self.given[pick % 2]
        some = [lease for n, lease in enumerate(reversed(given)) if (pick >> n) % 2]
        if pick % 3 == 0 and given:
            some.append(Lease(delivery_id=given[-1].delivery_id, token=uuid.uuid4()))
        return some

    def expected(self, some: list[Lease], way: str = "") -> list[bool]:
        """A lease that holds, or that the same call ended before."""
        return [
            self.live.get(lease.delivery_id) == lease.token
            or self.ended.get(lease.delivery_id) == (lease.token, way)
            for lease in some
        ]

    def settled(self, some: list[Lease], way: str) -> list[int]:
        """Those of them that hold, which the caller settles."""
        held = {
            lease.delivery_id: (lease.token, way)
            for lease in some
            if self.live.get(lease.delivery_id) == lease.token
        }
        for pk in held:
            del self.live[pk]
        self.ended |= held
        return sorted(held)

    def ack(self, pick: int) -> None:
        some = self.some_of(pick)
        assert say(settling.ack, some) == self.expected(some, "ack")
        self.acknowledged.update(self.settled(some, "ack"))

    def nack(self, pick: int) -> None:
        some = self.some_of(pick)
        assert say(settling.nack, some) == self.expected(some, "nack")
        self.settled(some, "nack")

    def release(self, pick: int) -> None:
        some = self.some_of(pick)
        assert say(settling.release, some) == self.expected(some, "release")
        self.settled(some, "release")

    def extend(self, pick: int) -> None:
        some = self.some_of(pick)
        assert extend(some) == self.expected(some)

    def some_leases_run_out(self, pick: int) -> None:
        running_out = list(self.live)[pick % 2 :: 2]
        Delivery.objects.filter(pk__in=running_out).update(
            leased_until=timezone.now() - timedelta(seconds=1)
        )
        for pk in running_out:
            del self.live[pk]

    def sweep(self, pick: int) -> None:
        sweep()

    def time_passes(self, pick: int) -> None:
        pending = Delivery.objects.filter(state=DeliveryState.PENDING)
        pending.update(due_at=F("created_at"))

    def pause_or_resume(self, pick: int) -> None:
        if self.row().state == SubscriberState.ACTIVE:
            pause(self.puller.pk, reason="", by="olga")
        else:
            resume(self.puller.pk, by="olga")

    def switch(self, pick: int) -> None:
        """All leases are lost: those that run, and those that ran out unseen."""
        is_pull = self.row().transport == Transport.PULL
        other = Transport.WEBHOOK if is_pull else Transport.PULL
        leased = Delivery.objects.filter(state=DeliveryState.LEASED).count()
        assert switch_transport(self.puller.pk, other) == leased
        self.live.clear()

    def a_worker_works(self, pick: int) -> None:
        """It claims what it may, which is nothing of a puller's, or ends a claim."""
        if self.claims and pick % 2:
            self.a_worker_ends(self.claims.pop(pick % len(self.claims)))
            return
        ids = list(Delivery.objects.values_list("pk", flat=True))
        claimed = claim(self.puller.pk, ids)
        if claimed is None:
            return
        assert self.row().transport == Transport.WEBHOOK
        assert set(self.live).isdisjoint(claimed.ids)
        self.live.update(dict.fromkeys(claimed.ids, claimed.token))
        self.claims.append(claimed)

    def a_worker_ends(self, claimed: Claim) -> None:
        is_held = all(self.live.get(pk) == claimed.token for pk in claimed.ids)
        try:
            with transaction.atomic():
                acknowledge(claimed, run_ms={})
        except LeaseLost:
            assert not is_held
            return
        # A worker is more patient than a puller: its lease holds until it is swept.
        self.acknowledged.update(claimed.ids)
        for pk in claimed.ids:
            self.live.pop(pk, None)

    def an_operator_settles(self, pick: int) -> None:
        for failed in FailedTask.objects.open().order_by("pk")[:1]:
            failed_tasks.retry([failed.pk], by="user olga", user=self.olga, note="")

    @invariant()
    def every_delivery_is_as_it_was_left(self) -> None:
        """They are read once: to read takes longer than to compare."""
        rows = list(Delivery.objects.all())
        self.every_event_is_owed_exactly_once(rows)
        self.exactly_the_leases_that_were_given_hold(rows)
        self.acknowledged_is_what_was_acknowledged_once(rows)
        self.every_state_has_what_belongs_to_it(rows)

    def every_event_is_owed_exactly_once(self, rows: list[Delivery]) -> None:
        owed = Counter(row.event_id for row in rows if row.event_id in self.published)
        assert owed == Counter(self.published)

    def exactly_the_leases_that_were_given_hold(self, rows: list[Delivery]) -> None:
        now = timezone.now()
        leased = [row for row in rows if row.state == DeliveryState.LEASED]
        held = [row for row in leased if row.leased_until > now]
        assert {row.pk: row.lease_token for row in held} == self.live

    def acknowledged_is_what_was_acknowledged_once(self, rows: list[Delivery]) -> None:
        assert self.acknowledged == Counter(
            row.pk for row in rows if row.state == DeliveryState.ACKNOWLEDGED
        )

    def every_state_has_what_belongs_to_it(self, rows: list[Delivery]) -> None:
        dead = [row.pk for row in rows if row.state == DeliveryState.DEAD]
        opened = FailedTask.objects.open().values_list("delivery_id", flat=True)
        assert sorted(opened) == sorted(dead)
        for row in rows:
            is_leased = row.state == DeliveryState.LEASED
            assert is_leased == (row.lease_token is not None)
            assert is_leased == (row.leased_until is not None)

    @invariant()
    def nothing_opens_the_breaker_of_a_puller(self) -> None:
        # Resumed as a webhook, it catches up.
        row = self.row()
        is_puller = row.transport == Transport.PULL
        assert row.breaker != BreakerState.OPEN
        assert not is_puller or row.breaker == BreakerState.CLOSED

    def teardown(self) -> None:
        """Whatever happened: once all is well again, everything arrives."""
        if self.row().transport != Transport.PULL:
            self.switch(0)
        resume(self.puller.pk, by="olga")
        while failed := list(FailedTask.objects.open()):
            failed_tasks.retry(
                [each.pk for each in failed], by="user olga", user=self.olga, note=""
            )
        let_leases_run_out()
        self.live.clear()
        self.time_passes(0)
        for _ in range(200):
            before = len(self.given[0])
            self.pull(0)
            new = self.given[0][before:]
            if not new and not Delivery.objects.expired().exists():
                break
            assert all(say(settling.ack, new))
            self.acknowledged.update(self.settled(new, "ack"))
        assert set(Delivery.objects.values_list("state", flat=True)) <= {
            DeliveryState.ACKNOWLEDGED
        }
        self.every_delivery_is_as_it_was_left()


def _empty() -> None:
    for model in (Attempt, FailedTask, Delivery, EventRecord):
        model.objects.all().delete()
    Subscriber.objects.update(
        transport=Transport.PULL,
        state=SubscriberState.ACTIVE,
        **breaker.UNTRIED,
    )
    LogHead.objects.update(position=0)


@pytest.fixture
def puller(transactional_db: None) -> None:
    Subscriber.objects.all().delete()
    a_puller(max_failures=2)


@pytest.mark.timeout(900)
def test_pulling_keeps_its_invariants(puller: None) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Pulling,
        settings=settings(
            max_examples=EXAMPLES or 6,
            derandomize=EXAMPLES <= 30,
            stateful_step_count=40,
            deadline=None,
            database=None,
            # A shrunk example is not worth the time limit, which would hide its error.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )

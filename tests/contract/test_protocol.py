"""A state machine drives the protocol against a model, and keeps its invariants.

Two dispatchers and two workers are played by one thread: every step of theirs is a
transaction of its own, so that any order of steps is an order in which real processes
could have taken them.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

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

from router.contract.errors import LeaseLost
from router.contract.outcomes import Dead, Evidence, FailureKind, Retry
from router.flow.breaker import breaker
from router.flow.deliver.claiming import claims
from router.flow.deliver.releasing import release, release_after_error
from router.flow.deliver.settling import acknowledge, settle_failure
from router.flow.dispatch.chunk import Chunk
from router.flow.dispatch.dispatcher import mark_chunk, unmark
from router.flow.dispatch.due import subscribers_due
from router.flow.lease import Claim
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
)
from router.operate import failed_tasks
from router.operate.declared import pause, resume
from router.public import publish, subscriber
from router.testing import isolated_subscribers, register_declared
from tests.contract.keyed_router import subscribe
from tests.contract.keys import assert_keys_go_in_order

KINDS = ("thing", "other", "unheard")
WORK = ["publish", "route", "dispatch", "claim", "claim"] + [
    "acknowledge",
    "fail_singly",
    "fail_singly",
    "break_off",
]
WORLD = (
    ["time_passes", "time_passes", "leases_run_out", "lose_a_message"]
    + ["a_worker_vanishes", "a_worker_vanishes"]
    + ["publish_in_vain", "pause_or_resume", "an_operator_settles"]
    + ["a_late_writer_hits_nothing"]
)
PICK = st.integers(0, 59)
#: The last one is ordered, and publishes to a foreign router.
NAMES = ("alpha", "beta", "gamma", "ordered")
WANTED = {
    "alpha": {"thing"},
    "beta": {"thing"},
    "gamma": {"thing", "other"},
    "ordered": {"thing"},
}
#: More of them look deeper; more than 30 are others each time.
EXAMPLES = int(os.environ.get("PROTOCOL_EXAMPLES", "0"))
OUTCOMES: list[Retry | Dead] = [
    Retry(Evidence("ValueError", "no")),
    Retry(Evidence("ConnectionError", "gone"), kind=FailureKind.TROUBLED),
    Retry(Evidence("RetryLater", "busy"), after_seconds=3, is_asked=True),
    Dead(Evidence("Reject", "never")),
]


class Now:
    """What the tables hold now, but for columns that nothing here looks at."""

    def __init__(self) -> None:
        self.events = list(EventRecord.objects.only("number", "event_id", "position"))
        self.deliveries = list(
            Delivery.objects.only(
                "event_id",
                "subscriber_id",
                "state",
                "lease_token",
                "leased_until",
                "vanished",
                "ordering_key",
                "due_at",
            ).order_by("pk")
        )
        self.opened = sorted(
            FailedTask.objects.open().values_list("delivery_id", flat=True)
        )
        self.subscribers = list(Subscriber.objects.all())
        self.names = {row.pk: row.name for row in self.subscribers}
        self.positions = {
            event.number: event.position
            for event in self.events
            if event.position is not None
        }


class Protocol(RuleBasedStateMachine):
    """Few rules, each with many acts: Hypothesis leaves out some rules in each run, and
    a chain of as many rules as an event has steps would hardly ever run."""

    def __init__(self) -> None:
        super().__init__()
        _empty()
        self.kinds: dict[int, str] = {}
        self.rolled_back: set[str] = set()
        self.positions: dict[int, int] = {}
        #: What travels, and what workers hold; a message may arrive twice or never.
        self.messages: list[Chunk] = []
        self.claims: list[Claim] = []
        #: Effects by delivery, as the transactions of handlers committed them.
        self.effects: Counter[int] = Counter()
        self.olga, _ = User.objects.get_or_create(username="olga")

    @initialize(count=st.integers(3, 12))
    def something_is_owed(self, count: int) -> None:
        for _ in range(count):
            self.happen("thing")
        self.route(0)

    @rule(act=st.sampled_from(WORK), pick=PICK)
    def a_process_goes_on(self, act: str, pick: int) -> None:
        getattr(self, act)(pick)

    @rule(act=st.sampled_from(WORLD), pick=PICK)
    def the_world_goes_on(self, act: str, pick: int) -> None:
        getattr(self, act)(pick)

    def happen(self, kind: str) -> None:
        key = f"key-{len(self.kinds) % 3}"
        self.kinds[publish(f"{kind}.happened", {}, partitionkey=key).number] = kind

    def publish(self, pick: int) -> None:
        for _ in range(1 + pick % 4):
            self.happen(KINDS[pick % len(KINDS)])

    def publish_in_vain(self, pick: int) -> None:
        """Rolled back, or the same again."""
        with transaction.atomic():
            self.rolled_back.add(publish("thing.happened", {}).event.id)
            transaction.set_rollback(True)
        record = EventRecord.objects.get(number=min(self.kinds))
        named = {"id": record.event_id, "partitionkey": record.partitionkey}
        assert not publish(record.type, record.data, **named).is_new

    def route(self, pick: int) -> None:
        self.messages += route_batch(has_room=lambda _: bool(pick % 2)).chunks

    def dispatch(self, pick: int) -> None:
        chunks = [mark_chunk(row) for row in subscribers_due()]
        self.messages += [chunk for chunk in chunks if chunk is not None]

    def lose_a_message(self, pick: int) -> None:
        if not self.messages:
            return
        chunk = self.messages.pop(pick % len(self.messages))
        if pick % 2:
            unmark(chunk)

    def claim(self, pick: int) -> None:
        """The message stays: brokers deliver twice."""
        if not self.messages:
            return
        chunk = self.messages[pick % len(self.messages)]
        in_turn = claims(chunk.subscriber.pk, chunk.ids)
        self.claims += islice(in_turn, 1 + pick % 3)

    def acknowledge(self, pick: int) -> None:
        if not self.claims:
            return
        self.carry_out(self.claims.pop(pick % len(self.claims)))

    def carry_out(self, held: Claim) -> None:
        """Effects and acknowledgement in one transaction, as a handler's are."""
        try:
            with transaction.atomic():
                acknowledge(held, run_ms={})
        except LeaseLost:
            return
        self.effects.update(held.ids)

    def fail_singly(self, pick: int) -> None:
        if not self.claims:
            return
        held = self.claims.pop(pick % len(self.claims))
        for index, delivery in enumerate(held.deliveries):
            outcome = OUTCOMES[pick % len(OUTCOMES)]
            if settle_failure(held.only(delivery), outcome, run_ms=1):
                release(held.only(*held.deliveries[index + 1 :]))
                return

    def break_off(self, pick: int) -> None:
        if not self.claims:
            return
        held = self.claims.pop(pick % len(self.claims))
        for delivery in held.deliveries:
            if pick % 3:
                release_after_error(held.only(delivery), is_session_lost=pick % 3 == 1)
            else:
                release(held.only(delivery))

    def leases_run_out(self, pick: int) -> None:
        """The workers that hold them may wake later, and write."""
        Delivery.objects.filter(state=DeliveryState.LEASED).update(
            leased_until=timezone.now() - timedelta(seconds=1)
        )
        sweep()

    def a_worker_vanishes(self, pick: int) -> None:
        """With what it took; then the next one gets suspects."""
        self.dispatch(pick)
        self.claim(pick)
        self.leases_run_out(pick)

    def time_passes(self, pick: int) -> None:
        pending = Delivery.objects.filter(state=DeliveryState.PENDING)
        pending.update(dispatched_until=None)
        pending.filter(due_at__isnull=False).update(due_at=F("created_at"))
        Subscriber.objects.filter(probe_at__isnull=False).update(
            probe_at=F("created_at")
        )
        Subscriber.objects.update(not_before=None)

    def pause_or_resume(self, pick: int) -> None:
        row = Subscriber.objects.get(name=NAMES[pick % len(NAMES)])
        if row.state == SubscriberState.ACTIVE:
            pause(row.pk, reason="", by="olga")
        else:
            resume(row.pk, by="olga")

    def an_operator_settles(self, pick: int) -> None:
        for failed in FailedTask.objects.open().order_by("pk")[:1]:
            settle = failed_tasks.retry if pick % 2 else failed_tasks.discard
            assert settle([failed.pk], by="user olga", user=self.olga).settled
            for repeat in (failed_tasks.retry, failed_tasks.discard):
                assert not repeat([failed.pk], by="command").settled

    def a_late_writer_hits_nothing(self, pick: int) -> None:
        """A worker that names a token that is not in the row changes nothing."""
        before = list(Delivery.objects.order_by("pk").values())
        leased = Delivery.objects.filter(state=DeliveryState.LEASED)
        for delivery in leased.select_related("event", "subscriber")[:1]:
            stale = Claim(
                subscriber=delivery.subscriber,
                token=uuid.uuid4(),
                deliveries=(delivery,),
            )
            release(stale)
            settle_failure(stale, OUTCOMES[pick % len(OUTCOMES)], run_ms=1)
            with pytest.raises(LeaseLost), transaction.atomic():
                acknowledge(stale, run_ms={})
        assert list(Delivery.objects.order_by("pk").values()) == before

    @invariant()
    def everything_holds(self) -> None:
        """Each table is read once: to read takes longer than to compare."""
        now = Now()
        self.every_recorded_event_is_owed_exactly_once(now)
        self.nobody_hears_of_what_was_rolled_back(now)
        self.positions_have_no_gaps_and_never_change(now)
        self.a_delivery_has_one_effect_if_it_is_acknowledged_and_else_none(now)
        self.every_state_has_what_belongs_to_it(now)
        self.a_suspect_shares_its_lease_with_nobody(now)
        self.a_breaker_that_is_not_closed_looks_again(now)
        assert_keys_go_in_order(now.deliveries)

    def every_recorded_event_is_owed_exactly_once(self, now: Now) -> None:
        # The router's own events are nobody's here.
        owed = Counter(
            (row.event_id, now.names[row.subscriber_id])
            for row in now.deliveries
            if row.event_id in self.kinds
        )
        assert owed == Counter(
            (number, name)
            for number, kind in self.kinds.items()
            for name in NAMES
            if kind in WANTED[name] and number in now.positions
        )

    def nobody_hears_of_what_was_rolled_back(self, now: Now) -> None:
        assert not self.rolled_back & {event.event_id for event in now.events}

    def positions_have_no_gaps_and_never_change(self, now: Now) -> None:
        positions = now.positions
        assert sorted(positions.values()) == list(range(1, len(positions) + 1))
        assert self.positions.items() <= positions.items()
        self.positions = positions

    def a_delivery_has_one_effect_if_it_is_acknowledged_and_else_none(
        self, now: Now
    ) -> None:
        assert self.effects == Counter(
            row.pk for row in now.deliveries if row.state == DeliveryState.ACKNOWLEDGED
        )

    def every_state_has_what_belongs_to_it(self, now: Now) -> None:
        dead = [row.pk for row in now.deliveries if row.state == DeliveryState.DEAD]
        assert now.opened == sorted(dead)
        for row in now.deliveries:
            is_leased = row.state == DeliveryState.LEASED
            assert is_leased == (row.lease_token is not None)
            assert is_leased == (row.leased_until is not None)

    def a_suspect_shares_its_lease_with_nobody(self, now: Now) -> None:
        leased = [row for row in now.deliveries if row.state == DeliveryState.LEASED]
        by_token = Counter(row.lease_token for row in leased)
        suspects = [row for row in leased if row.vanished > 0]
        assert {by_token[row.lease_token] for row in suspects} <= {1}

    def a_breaker_that_is_not_closed_looks_again(self, now: Now) -> None:
        for row in now.subscribers:
            if row.breaker == BreakerState.OPEN:
                assert row.probe_at is not None
                assert row.incident_since is not None

    def teardown(self) -> None:
        """Whatever happened: once all is well again, everything arrives."""
        for row in Subscriber.objects.exclude(state=SubscriberState.ACTIVE):
            resume(row.pk, by="olga")
        for _ in range(200):
            self.leases_run_out(0)
            self.time_passes(0)
            # A dead event holds its key.
            dead = FailedTask.objects.open().filter(subscriber__name="ordered")
            failed_tasks.discard(dead.values_list("pk", flat=True), by="command")
            while route_batch().event_count:
                pass
            due = subscribers_due()
            if not due:
                break
            for row in due:
                chunk = mark_chunk(row)
                if chunk is not None:
                    for claimed in claims(row.pk, chunk.ids):
                        self.carry_out(claimed)
        assert not Delivery.objects.open().exists()
        self.everything_holds()


def _empty() -> None:
    for model in (Attempt, FailedTask, Delivery, EventRecord):
        model.objects.all().delete()
    Subscriber.objects.update(state=SubscriberState.ACTIVE, **breaker.UNTRIED)
    LogHead.objects.update(position=0)


@pytest.fixture
def three(transactional_db: None) -> Iterator[None]:
    with isolated_subscribers():
        for name in NAMES[:-1]:
            kinds = [f"{kind}.happened" for kind in sorted(WANTED[name])]
            subscriber(name, events=kinds, max_failures=2)(lambda event: None)
        register_declared()
        subscribe("ordered", max_failures=2)
        yield


@pytest.mark.timeout(900)
def test_the_protocol_keeps_its_invariants(three: None) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Protocol,
        settings=settings(
            max_examples=EXAMPLES or 15,
            derandomize=EXAMPLES <= 30,
            stateful_step_count=40,
            deadline=None,
            database=None,
            # A shrunk example is not worth the time limit, which would hide its error.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )

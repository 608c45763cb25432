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
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from router.contract.errors import LeaseLost
from router.contract.outcomes import Dead, Evidence, FailureKind, Outcome, Retry
from router.flow import breaker, remediation
from router.flow.claiming import Claim, claim
from router.flow.dispatching import Chunk, mark_chunk, subscribers_due, unmark
from router.flow.registering import pause, resume
from router.flow.routing import route_batch
from router.flow.settling import acknowledge, put_off, release, settle_failure
from router.flow.sweeping import sweep
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
from router.public import publish, subscriber
from router.testing import isolated_subscribers, register_declared

NAMES = ("alpha", "beta", "gamma")
WANTED = {"alpha": {"thing"}, "beta": {"thing"}, "gamma": {"thing", "other"}}
#: More of them look deeper, and differently each time.
EXAMPLES = int(os.environ.get("PROTOCOL_EXAMPLES", "0"))
OUTCOMES: list[Outcome] = [
    Retry(Evidence("ValueError: no")),
    Retry(Evidence("ConnectionError: gone"), kind=FailureKind.UNREACHABLE),
    Retry(Evidence("RetryLater: busy"), after_seconds=3),
    Dead(Evidence("Reject: never")),
]


@dataclass
class Held:
    """A worker's claim; whether the lease is its own is the database's to say."""

    claim: Claim
    is_settled: bool = field(default=False)


class Protocol(RuleBasedStateMachine):
    messages = Bundle("messages")
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.committed: list[tuple[int, str]] = []
        self.rolled_back: set[str] = set()
        self.positions: dict[int, int] = {}
        #: Effects by delivery, as the transactions of handlers committed them.
        self.effects: Counter[int] = Counter()
        self.olga, _ = User.objects.get_or_create(username="olga")

    @initialize(count=st.integers(3, 12))
    def something_is_owed(self, count: int) -> None:
        self.publish("thing", count)
        self.route()

    @rule(kind=st.sampled_from(["thing", "other", "unheard"]), count=st.integers(1, 4))
    def publish(self, kind: str, count: int) -> None:
        for _ in range(count):
            number = publish(f"{kind}.happened", {}).number
            self.committed.append((number, kind))

    @rule()
    def publish_and_roll_back(self) -> None:
        with transaction.atomic():
            self.rolled_back.add(publish("thing.happened", {}).event.id)
            transaction.set_rollback(True)

    @rule()
    def publish_the_same_again(self) -> None:
        for record in EventRecord.objects.order_by("-number")[:1]:
            again = publish(
                record.type, record.data, id=record.event_id, source=record.source
            )
            assert not again.is_new

    @rule()
    def route(self) -> None:
        route_batch()

    @rule(target=messages)
    def dispatch(self) -> object:
        chunks = [mark_chunk(one) for one in subscribers_due("default")]
        return multiple(*(chunk for chunk in chunks if chunk is not None))

    @rule(chunk=consumes(messages), is_refused=st.booleans())
    def the_broker_loses_a_message(self, chunk: Chunk, is_refused: bool) -> None:
        if is_refused:
            unmark(chunk)

    @rule(chunk=messages, target=claims)
    def claim(self, chunk: Chunk) -> object:
        """The message stays in the bundle: brokers deliver twice."""
        claimed = claim(chunk.subscriber.pk, chunk.ids)
        return multiple() if claimed is None else Held(claimed)

    @rule(held=consumes(claims))
    def acknowledge(self, held: Held) -> None:
        """Effects and acknowledgement in one transaction, as a handler's are."""
        try:
            with transaction.atomic():
                acknowledge(held.claim, run_ms={})
        except LeaseLost:
            return
        self.effects.update(held.claim.ids)

    @rule(held=consumes(claims), outcome=st.sampled_from(OUTCOMES))
    def fail_singly(self, held: Held, outcome: Retry | Dead) -> None:
        deliveries = held.claim.deliveries
        for index, delivery in enumerate(deliveries):
            if settle_failure(held.claim.only(delivery), outcome, run_ms=1):
                release(held.claim.only(*deliveries[index + 1 :]))
                return

    @rule(held=consumes(claims), is_database_s=st.booleans())
    def break_off(self, held: Held, is_database_s: bool) -> None:
        for delivery in held.claim.deliveries:
            give_back = put_off if is_database_s else release
            give_back(held.claim.only(delivery))

    @rule()
    def leases_run_out(self) -> None:
        """The workers that hold them may wake later and write."""
        Delivery.objects.filter(state=DeliveryState.LEASED).update(
            leased_until=timezone.now() - timedelta(seconds=1)
        )
        sweep()

    @rule()
    def time_passes(self) -> None:
        pending = Delivery.objects.filter(state=DeliveryState.PENDING)
        pending.update(due_at=F("created_at"), dispatched_until=None)
        Subscriber.objects.filter(probe_at__isnull=False).update(
            probe_at=F("created_at")
        )

    @rule(name=st.sampled_from(NAMES))
    def hold_or_let_go(self, name: str) -> None:
        one = Subscriber.objects.get(name=name)
        if one.state == SubscriberState.ACTIVE:
            pause(one.pk, reason="", by="olga")
        else:
            resume(one.pk, by="olga")

    @rule(is_retried=st.booleans())
    def a_person_mends(self, is_retried: bool) -> None:
        settle = remediation.retry if is_retried else remediation.discard
        for failed in FailedTask.objects.open().order_by("pk")[:1]:
            assert settle([failed.pk], by=self.olga, note="").settled
            for again in (remediation.retry, remediation.discard):
                assert not again([failed.pk], by=self.olga, note="").settled

    @rule()
    def a_late_writer_hits_nothing(self) -> None:
        """Whoever names a token that is not in the row changes nothing."""
        before = list(Delivery.objects.order_by("pk").values())
        leased = Delivery.objects.filter(state=DeliveryState.LEASED)
        for delivery in leased.select_related("event")[:1]:
            stale = Claim(
                subscriber=delivery.subscriber,
                token=uuid.uuid4(),
                deliveries=(delivery,),
            )
            release(stale)
            settle_failure(stale, OUTCOMES[0], run_ms=1)
            with pytest.raises(LeaseLost), transaction.atomic():
                acknowledge(stale, run_ms={})
        assert list(Delivery.objects.order_by("pk").values()) == before

    @invariant()
    def every_recorded_event_is_owed_exactly_once(self) -> None:
        routed = dict(
            EventRecord.objects.exclude(position=None).values_list("number", "position")
        )
        kinds = dict(self.committed)
        owed = Counter(
            Delivery.objects.filter(event_id__in=kinds).values_list(
                "event_id", "subscriber__name"
            )
        )
        assert owed == Counter(
            (number, name)
            for number, kind in kinds.items()
            for name in NAMES
            if kind in WANTED[name] and number in routed
        )

    @invariant()
    def nobody_hears_of_what_was_rolled_back(self) -> None:
        assert not EventRecord.objects.filter(event_id__in=self.rolled_back).exists()

    @invariant()
    def positions_have_no_gaps_and_never_change(self) -> None:
        now = dict(
            EventRecord.objects.exclude(position=None).values_list("number", "position")
        )
        assert sorted(now.values()) == list(range(1, len(now) + 1))
        assert self.positions.items() <= now.items()
        self.positions = now

    @invariant()
    def a_delivery_has_one_effect_if_it_is_acknowledged_and_else_none(self) -> None:
        done = Delivery.objects.filter(state=DeliveryState.ACKNOWLEDGED)
        assert self.effects == Counter(done.values_list("pk", flat=True))

    @invariant()
    def every_state_has_what_belongs_to_it(self) -> None:
        dead = set(
            Delivery.objects.filter(state=DeliveryState.DEAD).values_list(
                "pk", flat=True
            )
        )
        opened = list(FailedTask.objects.open().values_list("delivery_id", flat=True))
        assert sorted(opened) == sorted(dead)
        for one in Delivery.objects.all():
            is_leased = one.state == DeliveryState.LEASED
            assert is_leased == (one.lease_token is not None)
            assert is_leased == (one.leased_until is not None)

    @invariant()
    def a_breaker_that_is_not_closed_looks_again(self) -> None:
        for one in Subscriber.objects.exclude(breaker=BreakerState.CLOSED):
            assert one.probe_at is not None
            assert one.incident_since is not None

    def teardown(self) -> None:
        """Whatever happened: once all is well again, everything arrives."""
        for one in Subscriber.objects.exclude(state=SubscriberState.ACTIVE):
            resume(one.pk, by="olga")
        for _ in range(200):
            self.leases_run_out()
            self.time_passes()
            while route_batch().event_count:
                pass
            due = subscribers_due("default")
            if not due:
                break
            for one in due:
                chunk = mark_chunk(one)
                claimed = chunk and claim(one.pk, chunk.ids)
                if claimed:
                    self.acknowledge(Held(claimed))
        assert not Delivery.objects.open().exists()
        self.every_recorded_event_is_owed_exactly_once()
        self.a_delivery_has_one_effect_if_it_is_acknowledged_and_else_none()
        _empty()


def _empty() -> None:
    for model in (Attempt, FailedTask, Delivery, EventRecord):
        model.objects.all().delete()
    Subscriber.objects.update(**breaker.AFRESH)
    LogHead.objects.update(position=0)


@pytest.fixture
def three(transactional_db: None) -> Iterator[None]:
    with isolated_subscribers():
        for name in NAMES:
            kinds = [f"{kind}.happened" for kind in sorted(WANTED[name])]
            subscriber(name, events=kinds, max_failures=2)(lambda event: None)
        register_declared()
        yield


def test_the_protocol_keeps_its_invariants(three: None) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Protocol,
        settings=settings(
            max_examples=EXAMPLES or 30,
            derandomize=not EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

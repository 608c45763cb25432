"""A state machine drives the protocol against a model, and keeps its invariants.

Two dispatchers and two workers are played by one thread: every step of theirs is a
transaction of its own, so that any order of steps is an order in which real processes
could have taken them.
"""

from __future__ import annotations

import os
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
from router.flow.cursor import turn
from router.flow.deliver.claiming import claims
from router.flow.deliver.releasing import release, release_after_error
from router.flow.deliver.settling import acknowledge, settle_failure
from router.flow.dispatch.chunk import Chunk
from router.flow.dispatch.dispatcher import mark_chunk, unmark
from router.flow.dispatch.due import subscribers_due
from router.flow.dispatch.ring import Wanted, mark_rung
from router.flow.lease import Claim
from router.flow.route.batch import has_unrouted
from router.flow.route.routing import route_batch
from router.flow.route.window import fill_windows
from router.flow.sweep import sweep, sweep_turns
from router.models import (
    Cursor,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    LogHead,
    Subscriber,
    SubscriberState,
    Turn,
)
from router.operate import failed_tasks
from router.operate.declared import pause, resume
from router.public import publish
from router.testing import is_settled
from tests.contract.keys import assert_keys_go_in_order
from tests.contract.protocol_chunks import (
    OUTCOMES,
    Chunks,
    assert_a_late_writer_hits_nothing,
)
from tests.contract.protocol_now import (
    Now,
    Owed,
    assert_a_breaker_that_is_not_closed_looks_again,
    assert_a_suspect_shares_its_lease_with_nobody,
    assert_chunks_count_what_they_acknowledged,
    assert_each_event_is_owed_in_one_way,
    assert_every_state_has_what_belongs_to_it,
    assert_one_lease_for_the_stream_and_for_rows,
)
from tests.contract.protocol_world import (
    ASKED,
    HANDLERS,
    NAMES,
    WANTED,
    ask_for,
    empty_world,
    four_subscribers,
    serve_otherwise,
)

KINDS = ("thing", "other", "unheard")
WORK = ["publish", "route", "dispatch", "claim", "claim"] + [
    "acknowledge",
    "fail_singly",
    "fail_singly",
    "break_off",
]
IN_STREAM = ["take", "take", "acknowledge", "acknowledge", "fail", "break_off"]
WORLD = (
    ["time_passes", "time_passes", "leases_run_out", "lose_a_message"]
    + ["a_worker_vanishes", "a_worker_vanishes"]
    + ["publish_in_vain", "pause_or_resume", "an_operator_settles"]
    + ["a_late_writer_hits_nothing", "ask_for_other_types", "serve_in_another_way"]
)
PICK = st.integers(0, 59)
#: More of them look deeper; more than 30 are others each time.
EXAMPLES = int(os.environ.get("PROTOCOL_EXAMPLES", "0"))


class Protocol(RuleBasedStateMachine):
    """Few rules, each with many acts: Hypothesis leaves out some rules in each run, and
    a chain of as many rules as an event has steps would hardly ever run."""

    def __init__(self) -> None:
        super().__init__()
        empty_world()
        self.kinds: dict[int, str] = {}
        self.rolled_back: set[str] = set()
        self.positions: dict[int, int] = {}
        #: What travels, and what workers hold; a message may arrive twice or never.
        self.messages: list[Chunk] = []
        self.claims: list[Claim] = []
        #: As the transactions of handlers committed them.
        self.effects: Counter[Owed] = Counter()
        self.chunks = Chunks(self.effects)
        #: One dispatcher's knowledge, which routed some of the batches itself.
        self.wanted = Wanted()
        self.asked = dict(WANTED)
        self.owed: set[Owed] = set()
        self.places: dict[int, int] = {}
        self.routed = 0
        self.olga, _ = User.objects.get_or_create(username="olga")

    @initialize(count=st.integers(6, 20), pick=PICK)
    def something_is_owed(self, count: int, pick: int) -> None:
        for _ in range(count):
            self.happen("thing")
        self.route(0)
        self.ask_for_other_types(pick)

    @rule(act=st.sampled_from(WORK), pick=PICK)
    def a_process_goes_on(self, act: str, pick: int) -> None:
        getattr(self, act)(pick)

    @rule(act=st.sampled_from(IN_STREAM), pick=PICK)
    def a_chunk_of_the_stream_goes_on(self, act: str, pick: int) -> None:
        getattr(self.chunks, act)(pick)

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
        routed = route_batch(has_room=lambda _: bool(pick % 2))
        self.messages += routed.chunks
        if pick % 3:
            self.wanted.note_routed(routed.after, routed.position, routed.wanted)
        given = EventRecord.objects.filter(position__gt=self.routed)
        self.routed = LogHead.objects.get().position
        pks = dict(Subscriber.objects.values_list("name", "pk"))
        for number in given.values_list("number", flat=True):
            kind = self.kinds.get(number)
            self.owed |= {
                (number, pks[name]) for name in NAMES if kind in self.asked[name]
            }

    def dispatch(self, pick: int) -> None:
        fill_windows()
        chunks = [mark_chunk(row) for row in subscribers_due()]
        self.messages += [chunk for chunk in chunks if chunk is not None]
        self.messages += mark_rung(self.wanted.due())

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
        if not chunk.ids:
            self.chunks.serve(chunk.subscriber.pk)
            return
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
        self.effects.update(
            (row.event_number, held.subscriber.pk) for row in held.deliveries
        )
        self.leave(held)

    def leave(self, held: Claim) -> None:
        """A streamed subscriber has one lease for its cursor and its deliveries."""
        turn.give_back(held.subscriber.pk, held.token)

    def fail_singly(self, pick: int) -> None:
        if not self.claims:
            return
        held = self.claims.pop(pick % len(self.claims))
        for index, delivery in enumerate(held.deliveries):
            outcome = OUTCOMES[pick % len(OUTCOMES)]
            if settle_failure(held.only(delivery), outcome, run_ms=1):
                release(held.only(*held.deliveries[index + 1 :]))
                break
        self.leave(held)

    def break_off(self, pick: int) -> None:
        if not self.claims:
            return
        held = self.claims.pop(pick % len(self.claims))
        for delivery in held.deliveries:
            if pick % 3:
                release_after_error(held.only(delivery), is_session_lost=pick % 3 == 1)
            else:
                release(held.only(delivery))
        self.leave(held)

    def leases_run_out(self, pick: int) -> None:
        """The workers that hold them may wake later, and write."""
        over = timezone.now() - timedelta(seconds=1)
        Delivery.objects.filter(state=DeliveryState.LEASED).update(leased_until=over)
        leased = Turn.objects.filter(token__isnull=False).order_by("pk")
        for one in leased[pick % 3 : pick % 3 + 1]:
            Turn.objects.filter(pk=one.pk).update(leased_until=over)
        sweep()
        sweep_turns()

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
        Turn.objects.update(marked_until=None)

    def pause_or_resume(self, pick: int) -> None:
        row = Subscriber.objects.get(name=NAMES[pick % len(NAMES)])
        if row.state == SubscriberState.ACTIVE:
            pause(row.pk, reason="", by="olga")
        else:
            resume(row.pk, by="olga")

    def ask_for_other_types(self, pick: int) -> None:
        name = HANDLERS[pick % len(HANDLERS)]
        # A cursor that has this above it reads across the end of its period.
        self.happen("thing")
        self.route(pick)
        self.asked[name] = ASKED[pick // len(HANDLERS) % len(ASKED)]
        ask_for(name, self.asked[name])
        # Above a cursor that has not passed what it asked for before.
        for kind in KINDS:
            self.happen(kind)
        self.route(pick)
        self.chunks.serve(Subscriber.objects.get(name=name).pk)

    def serve_in_another_way(self, pick: int) -> None:
        serve_otherwise(HANDLERS[pick % len(HANDLERS)])

    def an_operator_settles(self, pick: int) -> None:
        for failed in FailedTask.objects.open().order_by("pk")[:1]:
            settle = failed_tasks.retry if pick % 2 else failed_tasks.discard
            assert settle([failed.pk], by="user olga", user=self.olga).settled
            for repeat in (failed_tasks.retry, failed_tasks.discard):
                assert not repeat([failed.pk], by="command").settled

    def a_late_writer_hits_nothing(self, pick: int) -> None:
        assert_a_late_writer_hits_nothing(pick)

    @invariant()
    def everything_holds(self) -> None:
        """Each table is read once: to read takes longer than to compare."""
        now = Now()
        assert_each_event_is_owed_in_one_way(now, self.owed)
        assert_chunks_count_what_they_acknowledged(now, self.owed)
        assert self.effects == Counter(now.acknowledged(self.owed))
        self.nobody_hears_of_what_was_rolled_back(now)
        self.positions_have_no_gaps_and_never_change(now)
        self.a_cursor_never_moves_back(now)
        assert_one_lease_for_the_stream_and_for_rows(now)
        assert_every_state_has_what_belongs_to_it(now)
        assert_a_suspect_shares_its_lease_with_nobody(now)
        assert_a_breaker_that_is_not_closed_looks_again(now)
        assert_keys_go_in_order(now.deliveries)

    def nobody_hears_of_what_was_rolled_back(self, now: Now) -> None:
        assert not self.rolled_back & {event.event_id for event in now.events}

    def positions_have_no_gaps_and_never_change(self, now: Now) -> None:
        positions = now.positions
        assert sorted(positions.values()) == list(range(1, len(positions) + 1))
        assert self.positions.items() <= positions.items()
        self.positions = positions

    def a_cursor_never_moves_back(self, now: Now) -> None:
        places = {pk: cursor.position for pk, cursor in now.cursors.items()}
        for pk, position in self.places.items():
            assert places[pk] >= position
        self.places = places

    def teardown(self) -> None:
        """Whatever happened: once all is well again, everything arrives."""
        while self.chunks.held:
            self.chunks.acknowledge_all()
        for row in Subscriber.objects.exclude(state=SubscriberState.ACTIVE):
            resume(row.pk, by="olga")
        for _ in range(200):
            for pick in range(3):
                self.leases_run_out(pick)
            self.time_passes(0)
            # A dead event holds its key.
            dead = FailedTask.objects.open().filter(subscriber__name="ordered")
            failed_tasks.discard(dead.values_list("pk", flat=True), by="command")
            while has_unrouted():
                self.route(0)
            if not (self.serve_rows() or self.serve_cursors()):
                break
        assert not Delivery.objects.open().exists()
        assert is_settled()
        self.everything_holds()

    def serve_rows(self) -> bool:
        made = fill_windows()
        due = subscribers_due()
        for row in due:
            chunk = mark_chunk(row)
            if chunk is not None:
                for claimed in claims(row.pk, chunk.ids):
                    self.carry_out(claimed)
                    self.leave(claimed)
        return bool(due or made)

    def serve_cursors(self) -> bool:
        """Whether one of them had something to do, or moved."""
        before = dict(Cursor.objects.values_list("pk", "position"))
        for pk in turn.may_be_rung().values_list("pk", flat=True):
            self.chunks.held = []
            self.chunks.serve(pk)
            self.chunks.acknowledge_all()
        return before != dict(Cursor.objects.values_list("pk", "position"))


@pytest.fixture
def four(transactional_db: None) -> Iterator[None]:
    with four_subscribers():
        yield


@pytest.mark.timeout(900)
def test_the_protocol_keeps_its_invariants(four: None) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Protocol,
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

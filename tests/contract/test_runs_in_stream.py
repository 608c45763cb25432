"""Runs of handlers that are served in the stream: live first, each event once."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router.contract.digest import digest_of
from router.contract.errors import LeaseLost
from router.flow.cursor import runs_in_stream
from router.flow.cursor.reading import next_chunk
from router.flow.deliver import stream
from router.flow.deliver.stream import serve
from router.flow.deliver.stream_settling import acknowledge_chunk
from router.flow.dispatch.dispatcher import Dispatcher
from router.flow.dispatch.ring import RunsWaiting
from router.flow.sweep import sweep_turns
from router.models import (
    Acknowledgement,
    Attempt,
    Cursor,
    Delivery,
    EventRecord,
    Run,
    RunState,
    Subscriber,
    Turn,
)
from router.operate.runs import cancel_run, pause_run
from router.public import publish
from router.testing import deliver_due, route, skip_waits
from tests.contract.run_steps import Handler, declare, drain, replay
from tests.contract.steps import TYPE, publish_and_route, publish_events

pytestmark = pytest.mark.django_db(transaction=True)


def _let_it_run_out(row: Subscriber) -> None:
    past = timezone.now() - timedelta(seconds=1)
    Turn.objects.filter(pk=row.pk).update(leased_until=past)


def _serve_all(row: Subscriber, handler: Handler) -> None:
    """Message by message, until one brings nothing."""
    before = -1
    while before < len(handler.got):
        before = len(handler.got)
        serve(row.pk)


def test_history_in_its_order_and_no_row(handler: Handler) -> None:
    declare(handler)
    publish_events(3)
    drain()
    assert Counter(handler.got) == Counter([*range(10), *range(3)])
    assert not Delivery.objects.exists()
    run = Run.objects.get()
    assert (run.state, run.count) == (RunState.COMPLETE, 10)
    old = EventRecord.objects.filter(type=TYPE, position__lte=10)
    assert run.digest == digest_of(old.values_list("source", "event_id"))
    covered = Acknowledgement.objects.filter(cursor__run=1)
    assert sum(each.count for each in covered) == 10
    assert EventRecord.objects.get(type="router.backfill.completed").data["count"] == 10


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Chunks of one event, and a message that serves until there is no more."""
    settings.ROUTER = {**settings.ROUTER, "STREAM_LIMIT": 1}
    runs_in_stream._live_in_a_row.clear()
    monkeypatch.setattr(stream, "SERVE_SECONDS", 60)


def test_live_goes_three_times_before_a_run(
    handler: Handler, one_at_a_time: None
) -> None:
    row = declare(handler)
    publish_and_route(9)
    runs_in_stream.look_again()
    _serve_all(row, handler)
    # Of the run every fourth, from the first one on; then what is left of it.
    live_first = handler.got[:12]
    assert [live_first[at] for at in (3, 7, 11)] == [0, 1, 2]
    assert live_first[:3] == [0, 1, 2]
    assert sorted(handler.got) == sorted([*range(10), *range(9)])


def test_no_live_event_waits_for_two_chunks_of_a_run(
    handler: Handler, one_at_a_time: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each event of the run brings a live one."""
    row = declare(handler)
    deliver, live = stream._carry_out, iter(range(100, 110))

    def carry_out(chunk: Any, *, ends_at: float) -> bool:
        if chunk.run is not None:
            publish(TYPE, {"n": next(live)})
            route()
        return deliver(chunk, ends_at=ends_at)

    monkeypatch.setattr(stream, "_carry_out", carry_out)
    runs_in_stream.look_again()
    _serve_all(row, handler)
    assert handler.got == [n for at in range(10) for n in (at, 100 + at)]


def test_beside_live_events_a_message_serves_one_chunk_of_a_run(
    handler: Handler, one_at_a_time: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another subscriber's message may wait for the worker."""
    row = declare(handler)
    publish_and_route(1)
    runs_in_stream.look_again()
    serve(row.pk)
    assert handler.got == [0, 0]
    monkeypatch.setattr(runs_in_stream, "LIVE_SECONDS", 0)
    serve(row.pk)
    assert handler.got == [0, *range(10)]


def test_a_run_takes_short_chunks_beside_live_events(
    handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = declare(handler)
    Subscriber.objects.filter(pk=row.pk).update(mean_run_ms=25)
    monkeypatch.setattr(stream, "SERVE_SECONDS", 0)
    publish_and_route(1)
    runs_in_stream._live_in_a_row.clear()
    runs_in_stream.look_again()
    serve(row.pk)
    assert handler.got == [0]
    Subscriber.objects.filter(pk=row.pk).update(mean_run_ms=25)
    serve(row.pk)
    assert len(handler.got) == 1 + 2


def test_a_live_cursor_with_nothing_costs_a_run_no_turn(
    handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SERVE_SECONDS", -1.0)
    row = declare(handler)
    serve(row.pk)
    assert sorted(handler.got) == list(range(10))
    with CaptureQueriesContext(connection) as queries:
        serve(row.pk)
    claims = [each for each in queries if "here AS MATERIALIZED" in each["sql"]]
    assert len(claims) <= 1


def test_one_lease_for_the_live_cursor_and_its_runs(handler: Handler) -> None:
    row = declare(handler)
    publish_and_route(1)
    chunk = next_chunk(row.pk, run=runs_in_stream.next_run(row.pk))
    assert chunk is not None
    assert Turn.objects.get(pk=row.pk).run == 1
    assert next_chunk(row.pk) is None
    acknowledge_chunk(chunk, run_ms=[1.0] * len(chunk.events), is_last=True)
    assert Turn.objects.get(pk=row.pk).run == 0
    assert next_chunk(row.pk) is not None


def test_a_bad_event_of_a_run_gets_a_delivery_of_the_run(handler: Handler) -> None:
    handler.bad = {4}
    declare(handler)
    drain()
    # What came before it ran again.
    assert set(handler.got) == {0, 1, 2, 3, 5, 6, 7, 8, 9}
    row = Delivery.objects.get(subscriber__name="late")
    assert (row.run, row.origin, row.state) == (1, "backfill", "DEAD")
    run = Run.objects.get()
    assert (run.state, run.count) == (RunState.COMPLETE, 10)


def test_a_suspect_of_a_run_gets_a_delivery_of_the_run(handler: Handler) -> None:
    row = declare(handler)
    for _ in range(2):
        chunk = next_chunk(row.pk, run=runs_in_stream.next_run(row.pk))
        assert chunk is not None
        _let_it_run_out(row)
        sweep_turns()
    suspect = Delivery.objects.get()
    assert (suspect.run, suspect.origin, suspect.vanished) == (1, "backfill", 1)
    assert Attempt.objects.get().delivery_id == suspect.pk
    live = Cursor.objects.get(subscriber=row, run=0)
    assert (live.position, live.alone_to < 0) == (10, True)
    drain()
    assert sorted(handler.got) == list(range(10))
    run = Run.objects.get()
    assert (run.state, run.count) == (RunState.COMPLETE, 10)


def test_a_chunk_of_a_cancelled_run_rolls_back(handler: Handler) -> None:
    row = declare(handler)
    run = runs_in_stream.next_run(row.pk)
    chunk = next_chunk(row.pk, run=run)
    assert chunk is not None
    assert run is not None
    cancel_run(run.pk, by="test")
    with pytest.raises(LeaseLost), transaction.atomic():
        acknowledge_chunk(chunk, run_ms=[1.0] * len(chunk.events), is_last=True)
    assert next_chunk(row.pk, run=run) is None
    turn = Turn.objects.get(pk=row.pk)
    assert (turn.token, turn.run) == (None, 0)
    assert Run.objects.with_position().get().position == 0
    drain()
    assert handler.got == []


def test_a_paused_run_waits(handler: Handler) -> None:
    row = declare(handler)
    pause_run(Run.objects.get().pk, by="test")
    publish_and_route(1)
    deliver_due()
    assert handler.got == [0]
    assert runs_in_stream.next_run(row.pk) is None


def test_a_replay_passes_what_is_open_or_given_up(handler: Handler) -> None:
    row = declare(handler, start="now")
    handler.bad = {1}
    publish_and_route(3)
    deliver_due()
    handler.got.clear()
    replay(row, start={"position": 11})
    drain()
    assert sorted(handler.got) == [0, 2]
    assert not Delivery.objects.filter(run=1).exists()


def test_what_failed_is_retried_by_row(handler: Handler) -> None:
    row = declare(handler, start="now")
    handler.bad = {1}
    publish_and_route(3)
    deliver_due()
    handler.bad.clear()
    handler.got.clear()
    run = replay(row, only_failed=True)
    drain()
    assert handler.got == [1]
    run.refresh_from_db()
    assert (run.state, run.count) == (RunState.COMPLETE, 1)


def test_chosen_events_come_by_row(handler: Handler) -> None:
    row = declare(handler, start="now")
    publish_and_route(4)
    deliver_due()
    handler.got.clear()
    chosen = EventRecord.objects.filter(position__in=(12, 14))
    replay(row, chosen=[event.number for event in chosen])
    drain()
    assert handler.got == [1, 3]


def test_a_replay_has_its_own_types_and_filter(handler: Handler) -> None:
    row = declare(handler, start="now", events=["other.*", TYPE])
    for n in range(4):
        publish("other.thing", {"n": 100 + n}, subject=f"s{n % 2}")
    publish_events(2)
    drain()
    handler.got.clear()
    wanted = {"events": ["other.*"], "filter": {"exact": {"subject": "s1"}}}
    run = replay(row, **wanted)
    drain()
    assert handler.got == [101, 103]
    run.refresh_from_db()
    assert run.count == 2


def test_a_rate_is_kept_in_the_stream(handler: Handler) -> None:
    row = declare(handler, start="now")
    replay(row, rate_per_second=0.01)
    runs_in_stream.look_again()
    for _ in range(2):
        serve(row.pk)
        assert handler.got == [0]
    assert not RunsWaiting().due(but=())
    skip_waits()
    assert [each.pk for each in RunsWaiting().due(but=())] == [row.pk]


def test_the_dispatcher_rings_for_a_run(handler: Handler) -> None:
    row = declare(handler)

    class Bell:
        sent: list[Any] = []

        def waiting_count(self, queue: str) -> int:
            return 0

        def send(self, messages: list[Any]) -> None:
            self.sent += messages

    bell: Any = Bell()
    Dispatcher(bell).turn()
    assert [(each.subscriber_id, each.ids) for each in bell.sent] == [(row.pk, ())]


def test_it_costs_no_statement_more_without_a_run(handler: Handler) -> None:
    row = declare(handler, start="now")
    runs_in_stream.look_again()
    publish_and_route(2)
    serve(row.pk)
    publish_and_route(2)
    with CaptureQueriesContext(connection) as queries:
        serve(row.pk)
    assert not [each for each in queries if "router_run" in each["sql"]]


def test_a_chunk_of_a_run_costs_the_same_however_large(handler: Handler) -> None:
    row = declare(handler)
    counts = []
    for size in (2, 7):
        Subscriber.objects.filter(pk=row.pk).update(ramp=size, mean_run_ms=0.1)
        run = runs_in_stream.next_run(row.pk)
        with CaptureQueriesContext(connection) as queries:
            chunk = next_chunk(row.pk, run=run)
            assert chunk is not None
            assert len(chunk.events) == size
            acknowledge_chunk(chunk, run_ms=[1.0] * size, is_last=True)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_lost_lease_of_a_run_is_of_that_run(handler: Handler) -> None:
    row = declare(handler)
    chunk = next_chunk(row.pk, run=runs_in_stream.next_run(row.pk))
    assert chunk is not None
    Turn.objects.update(token=uuid.uuid4())
    with pytest.raises(LeaseLost), transaction.atomic():
        acknowledge_chunk(chunk, run_ms=[1.0] * len(chunk.events), is_last=True)

"""Backfills and replays: what begins, what is refused, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from router.contract.errors import DoesNotApply, InvalidRun, NotConfirmed
from router.models import (
    AuditEntry,
    Cursor,
    EventRecord,
    LogHead,
    Run,
    RunKind,
    RunState,
    Subscriber,
)
from router.operate.resend import resend_event
from router.operate.run_preview import preview_run
from router.operate.run_request import RunRequest
from router.operate.runs import begin_run, cancel_run, pause_run, resume_run, set_rate
from router.operate.subscribers import create_subscriber
from router.public import Event, publish, subscriber
from router.registry import isolated
from router.testing import deliver_due, register_declared
from tests.contract.steps import TYPE, ack, publish_and_route, publish_events, take

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def log() -> None:
    """Ten events that no subscriber was there for."""
    Subscriber.objects.all().delete()
    publish_and_route(10)


def create(start: Any = "now", **fields: Any) -> Subscriber:
    wanted = {"transport": "pull", "events": [TYPE], **fields}
    return create_subscriber("erp", by="user ada", start=start, **wanted).subscriber


def backfill(**options: Any) -> RunRequest:
    return RunRequest(kind=RunKind.BACKFILL, **options)


def replay(**options: Any) -> RunRequest:
    return RunRequest(kind=RunKind.REPLAY, **options)


def part(run: Run) -> tuple[int, int]:
    return run.start, run.end


@pytest.mark.parametrize(
    ("start", "first"),
    [("beginning", 1), ({"position": 4}, 4), ({"position": -3}, 1)],
)
def test_a_subscriber_starts_where_it_is_created_to(start: Any, first: int) -> None:
    row = create(start)
    run = Run.objects.get(subscriber=row)
    assert part(run) == (first - 1, 10)
    assert (run.kind, run.state) == (RunKind.BACKFILL, RunState.ACTIVE)
    cursors = Cursor.objects.filter(subscriber=row).order_by("run")
    assert [each.position for each in cursors] == [10, first - 1]


@pytest.mark.parametrize("start", ["now", {"position": 11}])
def test_from_now_on_there_is_nothing_to_catch_up_with(start: Any) -> None:
    create(start)
    assert not Run.objects.exists()


def test_a_time_is_that_of_the_first_event_recorded_since() -> None:
    middle = EventRecord.objects.get(position=6)
    run = Run.objects.get(subscriber=create({"time": middle.recorded_at}))
    events = EventRecord.objects.filter(recorded_at__lt=middle.recorded_at)
    assert run.start == events.count()


def test_an_ordered_subscriber_reads_the_past_with_its_live_cursor() -> None:
    row = create("beginning", ordering="key")
    cursor = Cursor.objects.get(subscriber=row)
    assert (cursor.run, cursor.start, cursor.position) == (0, 0, 0)
    assert cursor.is_behind
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ({"position": 12}, "beyond the end of the log, which is at position 10"),
        ({"time": timezone.now() + timedelta(days=1)}, "has not come yet"),
        ({"time": "yesterday"}, "RFC 3339"),
        ("yesterday", "must be"),
        ({"position": True}, "must be"),
        ({"position": 1, "time": "2026-02-03T04:05:06Z"}, "must be"),
        (7, "must be"),
    ],
)
def test_a_place_that_is_none_is_refused(start: Any, words: str) -> None:
    with pytest.raises(InvalidRun, match=words) as refused:
        create(start)
    assert [pointer for pointer, _ in refused.value.problems] == ["/from"]
    assert not Subscriber.objects.exists()


def test_what_retention_deleted_is_refused_and_the_beginning_is_what_is_left() -> None:
    EventRecord.objects.filter(position__lte=4).delete()
    LogHead.objects.update(pruned_to=4)
    first = EventRecord.objects.get(position=5)
    for start in ({"position": 4}, {"time": first.recorded_at}):
        with pytest.raises(InvalidRun, match="lies before position 5"):
            create(start)
    assert part(Run.objects.get(subscriber=create("beginning"))) == (4, 10)


def test_a_backfill_ends_where_the_subscriber_began() -> None:
    row = create()
    publish_and_route(3)
    run = begin_run(row, backfill(start={"position": 3}), by="user ada", reason="new")
    assert part(run) == (2, 10)
    assert (run.requested_by, run.reason) == ("user ada", "new")
    noted = AuditEntry.objects.get(action="run.begun")
    assert (noted.target, noted.reason) == ("run 1 of subscriber erp", "new")
    assert noted.detail == "backfill of positions 3 to 10"


def test_nothing_comes_before_what_a_backfill_gave() -> None:
    row = create({"position": 5})
    Run.objects.update(state=RunState.COMPLETE)
    assert part(begin_run(row, backfill(), by="test")) == (0, 4)
    Run.objects.update(state=RunState.COMPLETE)
    with pytest.raises(DoesNotApply, match="every event after position 0"):
        begin_run(row, backfill(), by="test")


def test_what_a_cancelled_backfill_gave_is_not_given_twice() -> None:
    row = create("beginning")
    run = Run.objects.get()
    Cursor.objects.filter(run=run.number).update(position=6)
    cancel_run(run.pk, by="test")
    with pytest.raises(DoesNotApply, match="positions? 1 to 6 .* at position 7"):
        begin_run(row, backfill(), by="test")
    assert part(begin_run(row, backfill(start={"position": 7}), by="test")) == (6, 10)


def test_an_ordered_subscriber_gets_no_backfill() -> None:
    with pytest.raises(DoesNotApply, match="replay them"):
        begin_run(create(ordering="key"), backfill(), by="test")


def test_a_deleted_subscriber_gets_no_run() -> None:
    row = create()
    Subscriber.objects.filter(pk=row.pk).update(deleted_at=timezone.now())
    with pytest.raises(DoesNotApply, match="deleted"):
        begin_run(row, replay(), by="test")


def test_a_replay_ends_at_the_live_cursor_at_most() -> None:
    row = create()
    assert part(begin_run(row, replay(until={"position": 99}), by="test")) == (0, 10)
    Cursor.objects.filter(run=0).update(position=7, is_behind=True)
    assert part(begin_run(row, replay(), by="test")) == (0, 7)
    with pytest.raises(InvalidRun, match="come by themselves"):
        begin_run(row, replay(start={"position": 9}), by="test")


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    window = replay(start={"position": 8}, until={"position": 3})
    with pytest.raises(InvalidRun, match="before the start, which is position 8"):
        begin_run(create(), window, by="test")
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"rate_per_second": 0}, "/rate_per_second"),
        ({"rate_per_second": -1.0}, "/rate_per_second"),
        ({"events": []}, "/types"),
        ({"events": ["a*b"]}, "/types/0"),
        ({"filter": {"exakt": {}}}, "/filter"),
        ({"chosen": []}, "/events"),
        ({"chosen": [10**9]}, "/events"),
        ({"chosen": [1], "only_failed": True}, "/events"),
        ({"chosen": [1], "start": {"position": 2}}, "/events"),
    ],
)
def test_what_is_wrong_with_a_replay_is_named(options: Any, pointer: str) -> None:
    with pytest.raises(InvalidRun) as refused:
        begin_run(create(), replay(**options), by="test")
    assert pointer in [place for place, _ in refused.value.problems]


def test_a_replay_is_of_what_the_subscriber_may_receive() -> None:
    row = create(allowed_types=[TYPE])
    with pytest.raises(InvalidRun, match="beyond the subscriber's `allowed_types`"):
        begin_run(row, replay(events=["other.*"]), by="test")


def test_chosen_events_are_a_window_of_their_own() -> None:
    numbers = EventRecord.objects.filter(position__in=(3, 7)).values_list("number")
    chosen = [number for (number,) in numbers]
    run = begin_run(create(), replay(chosen=chosen), by="test")
    assert part(run) == (2, 7)
    assert run.chosen == sorted(chosen)


def test_a_handler_that_is_not_idempotent_is_confirmed() -> None:
    with isolated():

        @subscriber("plain", events=[TYPE])
        def plain(event: Event) -> None:
            pass

        @subscriber("careful", events=[TYPE], is_idempotent=True)
        def careful(event: Event) -> None:
            pass

        register_declared()
        row = Subscriber.objects.get(name="plain")
        with pytest.raises(NotConfirmed, match="is_idempotent=True"):
            begin_run(row, replay(), by="test")
        assert begin_run(row, replay(), by="test", is_confirmed=True).is_open
        begin_run(Subscriber.objects.get(name="careful"), replay(), by="test")


def test_a_declared_subscriber_may_start_at_the_beginning() -> None:
    with isolated():

        @subscriber("late", events=[TYPE], start="beginning")
        def late(event: Event) -> None:
            pass

        register_declared()
        register_declared()
    run = Run.objects.get()
    assert (part(run), run.requested_by) == ((0, 10), "router")


def test_pause_resume_rate_and_cancel_are_kept_with_who_and_why() -> None:
    run = Run.objects.get(subscriber=create("beginning"))
    pause_run(run.pk, by="user ada", reason="busy")
    with pytest.raises(DoesNotApply, match="only an active one"):
        pause_run(run.pk, by="user ada")
    resume_run(run.pk, by="user ada")
    set_rate(run.pk, 20, by="user ada")
    with pytest.raises(InvalidRun):
        set_rate(run.pk, 0, by="user ada")
    cancel_run(run.pk, by="user ada", reason="enough")
    run.refresh_from_db()
    assert (run.state, run.rate_per_second) == (RunState.CANCELLED, 20)
    assert run.finished_at is not None
    for act in (cancel_run, pause_run, resume_run):
        with pytest.raises(DoesNotApply, match="cancelled"):
            act(run.pk, by="user ada")
    entries = AuditEntry.objects.filter(action__startswith="run.").order_by("pk")
    assert list(entries.values_list("action", "reason")) == [
        ("run.begun", ""),
        ("run.paused", "busy"),
        ("run.resumed", ""),
        ("run.rate_changed", ""),
        ("run.cancelled", "enough"),
    ]


def test_a_preview_counts_and_writes_nothing() -> None:
    row = create()
    for n in range(4):
        publish("other.thing", {"n": n})
    deliver_due()
    events = ["other.*", TYPE]
    looked = preview_run(row, replay(events=events, rate_per_second=2))
    assert (looked.count, looked.is_more, looked.seconds) == (14, False, 7)
    assert looked.types == {TYPE: 10, "other.thing": 4}
    assert [event.position for event in looked.first_events] == list(range(1, 11))
    assert looked.first_at == EventRecord.objects.get(position=1).recorded_at
    assert looked.last_at == EventRecord.objects.get(position=14).recorded_at
    assert not Run.objects.exists()


def test_a_preview_asks_the_filter() -> None:
    only_three = {"sql": "EXISTS subject AND subject = 'three'"}
    publish(TYPE, {}, subject="three")
    deliver_due()
    looked = preview_run(create(), replay(filter=only_three))
    assert (looked.count, len(looked.first_events)) == (1, 1)


def test_a_resent_event_and_a_run_never_share_a_number() -> None:
    row = create()
    publish_events(2)
    deliver_due()
    ack(take(row))
    number = EventRecord.objects.get(position=11).number
    resent = resend_event(number, row.pk, by="test")
    run = begin_run(row, replay(), by="test")
    assert (resent.run, run.number) == (1, 2)

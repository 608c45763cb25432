"""The dispatcher counts each row of the log once, whatever happens beside it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.db.models import Model, Sum
from django.utils import timezone

from router.flow import rollup
from router.flow.cursor.acknowledgements import merge
from router.flow.rollup import Rollups, prune_rollups
from router.models import (
    Acknowledgement,
    Attempt,
    Cursor,
    EventRecord,
    Measure,
    Rollup,
    RollupMark,
    Span,
)
from router.public import publish
from tests.contract.steps import boom, count_all, drain, publish_events, statements
from tests.integration.rows import a_delivery, a_subscriber, an_event
from tests.receivers import Declare

#: A test's own transaction would be one that may still write.
pytestmark = pytest.mark.django_db(transaction=True)
AT = datetime(2026, 3, 1, 10, 59, 30, tzinfo=UTC)


def counted(measure: Measure, span: Span = Span.EVER) -> dict[str, int]:
    rows = Rollup.objects.filter(measure=measure, span=span).order_by("began_at")
    totals: dict[str, int] = {}
    for label, count in rows.values_list("label", "count"):
        totals[label] = totals.get(label, 0) + count
    return totals


def an_attempt(seconds: float = 0.0, **fields: object) -> Attempt:
    event = an_event(recorded_at=AT)
    subscriber = a_subscriber(f"subscriber-{event.pk}")
    delivery = a_delivery(event, subscriber, "ACKNOWLEDGED")
    defaults = {"number": 1, "result": "ACKNOWLEDGED", "duration_ms": 3.0}
    ended_at = AT + timedelta(seconds=seconds)
    return Attempt.objects.create(
        delivery=delivery, ended_at=ended_at, **{**defaults, **fields}
    )


def insert_anew(row: Model) -> None:
    row.pk = None
    row.save(force_insert=True)


def a_chunk(
    count: int, *, seconds: float = 0.0, run: int = 0, run_ms: float | None = 3.0
) -> Acknowledgement:
    """So many events, of which the first was recorded `AT`."""
    events = [an_event(recorded_at=AT + timedelta(hours=n)) for n in range(count)]
    first, last = events[0].position or 0, events[-1].position or 0
    subscriber = a_subscriber(f"in-chunks-{first}")
    cursor = Cursor.objects.create(
        subscriber=subscriber, run=run, start=0, position=last
    )
    return Acknowledgement.objects.create(
        cursor=cursor,
        first=first,
        last=last,
        count=count,
        run_ms=run_ms,
        acknowledged_at=AT + timedelta(seconds=seconds),
    )


@pytest.mark.parametrize("is_streamed", [True, False])
def test_events_are_counted_by_type_and_attempts_by_result(
    declare: Declare, is_streamed: bool
) -> None:
    declare("well", is_safe_concurrently=not is_streamed)
    declare("ill", behave=boom, is_safe_concurrently=not is_streamed)
    publish_events(3)
    drain()
    count_all()
    assert counted(Measure.EVENTS)["thing.happened"] == 3
    assert counted(Measure.ATTEMPTS)["acknowledged"] == 3
    in_chunks = sum(Acknowledgement.objects.values_list("count", flat=True))
    assert in_chunks == (3 if is_streamed else 0)
    attempts = Attempt.objects.count() + in_chunks
    assert sum(counted(Measure.ATTEMPTS).values()) == attempts > 6


def test_a_chunk_counts_as_its_events() -> None:
    """Each of them waited as long as the oldest, and ran as long as the mean."""
    a_chunk(4, seconds=2.0, run_ms=20.0)
    a_chunk(2, seconds=0.006, run_ms=None)
    count_all()
    assert counted(Measure.ATTEMPTS) == {"acknowledged": 6}
    assert counted(Measure.PUBLISH_TO_ACK) == {"2.5": 4, "0.01": 2}
    assert counted(Measure.RUN_TIME) == {"0.025": 4}
    ever = Rollup.objects.filter(span=Span.EVER)
    seconds = dict(ever.values_list("measure").annotate(seconds=Sum("seconds")))
    assert seconds[Measure.PUBLISH_TO_ACK] == pytest.approx(8.012)
    assert seconds[Measure.RUN_TIME] == pytest.approx(0.08)


def test_of_a_replay_and_of_deleted_events_no_wait_is_counted() -> None:
    a_chunk(1, run=1)
    deleted = a_chunk(1)
    EventRecord.objects.filter(position=deleted.first).delete()
    count_all()
    assert counted(Measure.ATTEMPTS) == {"acknowledged": 2}
    assert counted(Measure.PUBLISH_TO_ACK) == {}


def test_an_older_event_of_another_type_is_no_wait(declare: Declare) -> None:
    declare("well")
    publish("other.happened", {})
    drain()
    an_hour_ago = timezone.now() - timedelta(hours=1)
    EventRecord.objects.update(recorded_at=an_hour_ago)
    publish_events(1)
    drain()
    count_all()
    [label] = counted(Measure.PUBLISH_TO_ACK)
    assert float(label) < 3600


def test_the_statements_of_a_step_do_not_grow(declare: Declare) -> None:
    declare("well")
    declare("safe", is_safe_concurrently=True)
    taken = []
    for count in (1, 20):
        for _ in range(count):
            publish_events(3)
            drain()
        taken.append(statements(count_all))
    # The first look also makes the mark.
    assert taken[1] <= taken[0]


def test_what_is_counted_is_not_counted_again(declare: Declare) -> None:
    declare("well")
    for _ in range(2):
        publish_events(2)
        drain()
        count_all()
        count_all()
    assert counted(Measure.EVENTS) == {"thing.happened": 4}
    assert counted(Measure.ATTEMPTS) == {"acknowledged": 4}


def test_each_time_falls_into_its_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds in (0.004, 0.006, 2.0, 100_000.0):
        an_attempt(seconds)
    an_attempt(5.0, result="RETRY", duration_ms=None)
    count_all()
    of = Measure.PUBLISH_TO_ACK
    assert counted(of) == {"0.005": 1, "0.01": 1, "2.5": 1, "+Inf": 1}
    assert counted(Measure.RUN_TIME) == {"0.005": 4}
    rows = Rollup.objects.filter(span=Span.EVER, measure=of)
    assert sum(row.seconds for row in rows) == pytest.approx(100_002.01)


def test_each_minute_and_each_hour_has_its_own_count() -> None:
    for seconds in (0, 20, 40):  # 10:59:30, 10:59:50 and 11:00:10
        an_attempt(seconds)
    count_all()
    for span, first, second in (
        (Span.MINUTE, AT.replace(second=0), AT.replace(hour=11, minute=0, second=0)),
        (
            Span.HOUR,
            AT.replace(minute=0, second=0),
            AT.replace(hour=11, minute=0, second=0),
        ),
    ):
        rows = Rollup.objects.filter(span=span, measure=Measure.ATTEMPTS)
        by_time: dict[datetime, int] = {}
        for row in rows:
            by_time[row.began_at] = by_time.get(row.began_at, 0) + row.count
        assert by_time == {first: 2, second: 1}


def test_a_long_log_is_counted_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "STEP_ROWS", 2)
    for _ in range(7):
        an_attempt()
    Attempt.objects.order_by("pk")[1].delete()
    for _ in range(5):
        a_chunk(10)
    rollups, steps = Rollups(), 1
    while rollups.step():
        steps += 1
    assert steps == 3  # A gap is no row.
    assert counted(Measure.EVENTS) == {}  # The head is at 0: nothing is routed.
    assert counted(Measure.ATTEMPTS) == {"acknowledged": 56}


def test_types_without_end_are_counted_together(
    monkeypatch: pytest.MonkeyPatch, declare: Declare
) -> None:
    monkeypatch.setattr(rollup, "MAX_TYPES", 2)
    for name in ("thing.a", "thing.b", "thing.c", "thing.d", "thing.a"):
        publish(name, {})
        drain()
        count_all()
    assert counted(Measure.EVENTS) == {"thing.a": 2, "thing.b": 1, "(other)": 2}


@pytest.mark.parametrize("is_streamed", [True, False])
def test_what_commits_late_is_counted(is_streamed: bool) -> None:
    """Its id is lower than that of one that is counted before."""
    if connection.vendor != "postgresql":
        return  # One writer at a time: ids commit in their order.
    drawn, may_commit = threading.Event(), threading.Event()
    make = (lambda: a_chunk(1)) if is_streamed else an_attempt
    early, late = make(), make()
    type(early)._default_manager.all().delete()

    def insert_late() -> None:
        with transaction.atomic():
            insert_anew(early)
            drawn.set()
            may_commit.wait(20)
        connection.close()

    thread = threading.Thread(target=insert_late)
    thread.start()
    try:
        assert drawn.wait(20)
        insert_anew(late)
        rollups = Rollups()
        for _ in range(3):
            rollups.step()
    finally:
        may_commit.set()
        thread.join()
    for _ in range(3):
        rollups.step()
    assert counted(Measure.ATTEMPTS) == {"acknowledged": 2}


@pytest.mark.parametrize("is_streamed", [True, False])
def test_two_dispatchers_count_no_row_twice(
    declare: Declare, is_streamed: bool
) -> None:
    declare("well", is_safe_concurrently=not is_streamed)
    publish_events(50)
    drain()
    barrier = threading.Barrier(4)

    def run() -> None:
        barrier.wait()
        count_all()
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count_all()
    assert counted(Measure.ATTEMPTS) == {"acknowledged": 50}


@pytest.mark.parametrize("counted_before", [0, 1, 2, 3])
def test_merging_changes_nothing_that_is_counted(counted_before: int) -> None:
    rows = [a_chunk(2) for _ in range(3)]
    for row in rows:
        row.cursor = rows[0].cursor
        row.save()
    late = rows[counted_before:]
    Acknowledgement.objects.filter(pk__in=[row.pk for row in late]).delete()
    count_all()
    Acknowledgement.objects.bulk_create(late)
    merge(rows[0].cursor_id)
    count_all()
    assert counted(Measure.ATTEMPTS) == {"acknowledged": 6}
    merge(rows[0].cursor_id)
    assert Acknowledgement.objects.count() < 3
    count_all()
    Acknowledgement.objects.all().delete()
    count_all()
    assert counted(Measure.ATTEMPTS) == {"acknowledged": 6}


def test_old_minutes_are_deleted_and_what_was_ever_stays() -> None:
    an_attempt()
    count_all()
    prune_rollups()
    assert set(Rollup.objects.values_list("span", flat=True)) == {Span.EVER}


def test_a_look_at_nothing_new_takes_no_lock() -> None:
    count_all()
    assert RollupMark.objects.count() == 1
    assert statements(Rollups().step) == 3

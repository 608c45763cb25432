"""The dispatcher counts each row of the log once, whatever happens beside it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from router.flow import rollup
from router.flow.rollup import Rollups, prune_rollups
from router.models import Attempt, Measure, Rollup, RollupMark, Span
from router.public import publish
from tests.contract.steps import boom, drain, publish_events, statements
from tests.integration.rows import a_delivery, a_subscriber, an_event
from tests.receivers import Declare

#: A test's own transaction would be one that may still write.
pytestmark = pytest.mark.django_db(transaction=True)
AT = datetime(2026, 3, 1, 10, 59, 30, tzinfo=UTC)


def count_all() -> None:
    rollups = Rollups()
    while rollups.step():
        pass
    rollups.step()  # What no open transaction writes is decided at once.


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


def test_events_are_counted_by_type_and_attempts_by_result(declare: Declare) -> None:
    declare("well")
    declare("ill", behave=boom)
    publish_events(3)
    drain()
    count_all()
    assert counted(Measure.EVENTS)["thing.happened"] == 3
    assert counted(Measure.ATTEMPTS)["acknowledged"] == 3
    assert sum(counted(Measure.ATTEMPTS).values()) == Attempt.objects.count() > 3


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
    rollups, steps = Rollups(), 1
    while rollups.step():
        steps += 1
    assert steps == 3  # A gap is no row.
    assert counted(Measure.EVENTS) == {}  # The head is at 0: nothing is routed.
    assert counted(Measure.ATTEMPTS) == {"acknowledged": 6}


def test_types_without_end_are_counted_together(
    monkeypatch: pytest.MonkeyPatch, declare: Declare
) -> None:
    monkeypatch.setattr(rollup, "MAX_TYPES", 2)
    for name in ("thing.a", "thing.b", "thing.c", "thing.d", "thing.a"):
        publish(name, {})
        drain()
        count_all()
    assert counted(Measure.EVENTS) == {"thing.a": 2, "thing.b": 1, "(other)": 2}


def test_an_attempt_that_commits_late_is_counted(declare: Declare) -> None:
    """Its id is lower than that of one that is counted before."""
    if connection.vendor != "postgresql":
        return  # One writer at a time: ids commit in their order.
    drawn, may_commit = threading.Event(), threading.Event()
    early, late = an_attempt(), an_attempt()
    Attempt.objects.all().delete()

    def insert_late() -> None:
        with transaction.atomic():
            Attempt.objects.create(
                delivery=early.delivery, number=1, result="RETRY", ended_at=AT
            )
            drawn.set()
            may_commit.wait(20)
        connection.close()

    thread = threading.Thread(target=insert_late)
    thread.start()
    try:
        assert drawn.wait(20)
        Attempt.objects.create(
            delivery=late.delivery, number=1, result="DEAD", ended_at=AT
        )
        rollups = Rollups()
        for _ in range(3):
            rollups.step()
    finally:
        may_commit.set()
        thread.join()
    for _ in range(3):
        rollups.step()
    assert counted(Measure.ATTEMPTS) == {"retry": 1, "dead": 1}


def test_two_dispatchers_count_no_row_twice(declare: Declare) -> None:
    declare("well")
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


def test_old_minutes_are_deleted_and_what_was_ever_stays() -> None:
    an_attempt()
    count_all()
    prune_rollups()
    assert set(Rollup.objects.values_list("span", flat=True)) == {Span.EVER}


def test_a_look_at_nothing_new_takes_no_lock() -> None:
    count_all()
    assert RollupMark.objects.count() == 1
    assert statements(Rollups().step) == 3

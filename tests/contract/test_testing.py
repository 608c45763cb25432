"""`router.testing` beyond `deliver_due`: what it says of the log, and long logs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from router.flow.heartbeats import beat, heartbeat_name
from router.models import EventRecord, Heartbeat, Measure, Rollup, Span
from router.public import publish
from router.testing import (
    Acknowledged,
    Recorded,
    acknowledged,
    add_history,
    count_log,
    deliver_due,
    has_dispatcher,
    is_settled,
    recorded,
    route,
)
from tests.receivers import Declare


def test_a_log_is_settled_when_all_is_routed_and_delivered(declare: Declare) -> None:
    declare()
    assert is_settled()
    publish("thing.happened", {})
    assert not is_settled()
    route()
    assert not is_settled()
    deliver_due()
    assert is_settled()


def test_acknowledged_deliveries_are_counted_from_a_moment_on(declare: Declare) -> None:
    declare("first")
    declare("second")
    assert acknowledged() == Acknowledged(0, None, None)
    publish("thing.happened", {})
    deliver_due()

    done = acknowledged(since=timezone.now() - timedelta(hours=1))

    assert done.count == 2
    assert None is not done.first_at <= done.last_at
    assert acknowledged(since=done.last_at) == Acknowledged(0, None, None)


def test_recorded_events_are_counted_from_a_moment_on(declare: Declare) -> None:
    assert recorded() == Recorded(0, None, None)
    publish("thing.happened", {})
    publish("thing.happened", {})

    log = recorded(since=timezone.now() - timedelta(hours=1))

    assert log.count == 2
    assert None is not log.first_at <= log.last_at
    assert recorded(since=log.last_at) == Recorded(0, None, None)


@pytest.mark.parametrize("count", [1, 7])
def test_a_history_is_settled_and_the_log_goes_on_after_it(
    declare: Declare, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr("router.testing.MAX_COPIES", 3)
    receivers = [declare("first"), declare("second")]

    add_history(count, "thing.happened", {"n": 1})

    assert is_settled()
    assert acknowledged().count == 2 * (count + 1)
    assert [len(receiver.seen) for receiver in receivers] == [1, 1]
    publish("thing.happened", {"n": 2})
    assert deliver_due() == 2
    events = EventRecord.objects.order_by("number")
    assert list(events.values_list("position", flat=True)) == list(range(1, count + 3))
    assert is_settled()


def test_a_history_is_counted_to_its_end(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.flow.rollup.STEP_ROWS", 2)
    declare("first")
    add_history(6, "thing.happened", {"n": 1})

    count_log()

    ever = Rollup.objects.filter(span=Span.EVER, measure=Measure.EVENTS)
    assert ever.get().count == 7


def test_a_dispatcher_is_known_by_its_heartbeat(transactional_db: None) -> None:
    beat(heartbeat_name("worker"), Heartbeat.Kind.WORKER)
    assert not has_dispatcher()
    beat(heartbeat_name("dispatcher"), Heartbeat.Kind.DISPATCHER)
    assert has_dispatcher()

"""What became of an event for a subscriber that reads the log by a cursor."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router.contract.outcomes import Evidence, Retry
from router.flow.cursor import turn
from router.flow.cursor.reading import next_chunk
from router.flow.deliver.set_aside import set_aside
from router.flow.route.routing import route_batch
from router.flow.route.window import Windows
from router.models import Cursor, Delivery, EventRecord, Subscriber, Turn
from router.observe import above
from router.observe.above import owed_above_cursors
from router.observe.live_cursors import OF_SUBSCRIBER, live_cursors
from router.observe.outcome import Outcomes, outcomes_of
from router.observe.overview import acknowledged_last_minute, subscribers_overview
from router.public import Event, publish
from router.testing import deliver_due, route
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def built(transactional_db: None) -> None:
    """The statement that is built once has an empty transaction then."""
    live_cursors()


def send(count: int = 1, type: str = "thing.happened") -> None:
    for _ in range(count):
        publish(type, {}, source="/test")
    route()


def look(*conditions: Any, limit: int | None = None) -> Outcomes:
    events = EventRecord.objects.order_by("number")
    return outcomes_of(events, Delivery.objects.order_by("pk")[:limit], limit=limit)


def states() -> list[str]:
    """Of each event, in their order."""
    return [each.state for each in look().by_cursor]


def refuse(event: Event) -> None:
    raise ValueError("not this one")


def test_above_the_cursor_an_event_is_pending_and_below_it_acknowledged(
    declare: Declare,
) -> None:
    declare()
    send(2)
    assert states() == ["PENDING", "PENDING"]
    deliver_due()
    send()
    assert states() == ["ACKNOWLEDGED", "ACKNOWLEDGED", "PENDING"]
    first, _, last = look().by_cursor
    assert first.acknowledged_at
    assert first.acknowledged_at >= first.event.recorded_at
    assert first.run_ms is not None
    assert (last.acknowledged_at, last.run_ms) == (None, None)


def test_a_column_of_the_subscriber_is_not_taken_for_another(declare: Declare) -> None:
    row = declare().row
    first, last = timezone.now(), timezone.now() + timedelta(minutes=1)
    rows = Subscriber.objects.filter(pk=row.pk)
    rows.update(title="A title", state_reason="A reason", probe_at=first)
    rows.update(not_before=last)
    [known] = [each.subscriber for each in live_cursors()]
    expected = Subscriber.objects.get(pk=row.pk)
    for name in OF_SUBSCRIBER:
        assert getattr(known, name) == getattr(expected, name), name


def test_what_is_under_the_lease_is_at_work_and_what_is_behind_it_waits(
    declare: Declare,
) -> None:
    # A handler that was never measured gets one event.
    row = declare().row
    send(3)
    chunk = next_chunk(row.pk)
    assert chunk is not None
    assert states() == ["LEASED", "PENDING", "PENDING"]
    turn.give_back(row.pk, chunk.token)
    assert states() == ["PENDING"] * 3


def test_a_lease_of_deliveries_is_none_of_the_log(declare: Declare) -> None:
    row = declare().row
    send(2)
    chunk = next_chunk(row.pk)
    assert chunk is not None
    turn.give_back(row.pk, chunk.token)
    # What the cursor keeps of the last lease says nothing of this one.
    Turn.objects.update(token=uuid.uuid4(), leased_count=0)
    assert states() == ["PENDING", "PENDING"]


def test_what_was_set_aside_is_read_from_its_row_alone(declare: Declare) -> None:
    declare(behave=refuse)
    send()
    deliver_due()
    found = look()
    assert [row.state for row in found.deliveries] == ["PENDING"]
    assert found.by_cursor == []


def test_a_row_that_the_limit_cuts_off_counts_as_well(declare: Declare) -> None:
    declare("first", behave=refuse)
    declare("second", behave=refuse)
    send()
    deliver_due()
    found = look(limit=1)
    assert len(found.deliveries) == 1
    assert found.by_cursor == []


def test_an_event_from_before_the_subscriber_has_no_outcome(declare: Declare) -> None:
    declare("first")
    send()
    deliver_due()
    declare("second")
    send()
    deliver_due()
    names = [(each.event.position, each.subscriber.name) for each in look().by_cursor]
    assert names == [(1, "first"), (2, "first"), (2, "second")]


def test_each_event_is_judged_by_what_was_asked_for_at_its_position(
    declare: Declare,
) -> None:
    declare(events=["thing.happened"])
    send(1, "thing.happened")
    send(1, "other.happened")
    declare(events=["other.*"])
    send(1, "thing.happened")
    send(1, "other.happened")
    positions = [each.event.position for each in look().by_cursor]
    assert positions == [1, 4]
    deliver_due()
    assert [each.event.position for each in look().by_cursor] == [1, 4]
    assert states() == ["ACKNOWLEDGED"] * 2


def test_an_event_without_a_position_has_no_outcome_yet(declare: Declare) -> None:
    declare()
    publish("thing.happened", {}, source="/test")
    assert look().by_cursor == []


def test_whoever_is_served_by_rows_again_keeps_its_history(declare: Declare) -> None:
    declare()
    send()
    deliver_due()
    declare(is_safe_concurrently=True)
    send()
    found = look()
    assert [each.event.position for each in found.by_cursor] == [1]
    assert [row.event.position for row in found.deliveries] == [2]


def test_what_lies_beyond_the_window_of_deliveries_waits(
    declare: Declare, settings: Any
) -> None:
    settings.ROUTER = {**settings.ROUTER, "WINDOW": 2}
    row = declare(is_safe_concurrently=True).row
    for _ in range(5):
        publish("thing.happened", {}, source="/test")
        windows = Windows()
        windows.turn()
        route_batch(fits=windows.fits)
    found = look()
    assert len(found.deliveries) == 2
    assert [each.state for each in found.by_cursor] == ["PENDING"] * 3
    (overview,) = subscribers_overview()
    assert (overview.subscriber, overview.waiting) == (row, 5)


def test_a_filter_that_looks_at_data_reads_it_by_one_statement(
    declare: Declare,
) -> None:
    declare(filter={"exact": {"data.kind": "big"}})
    for kind in ("small", "small", "big", "big"):
        publish("thing.happened", {"kind": kind}, source="/test")
    route()
    events = list(EventRecord.objects.defer("data"))
    with CaptureQueriesContext(connection) as queries:
        found = outcomes_of(events, Delivery.objects.all())
    assert [each.event.position for each in found.by_cursor] == [3, 4]
    assert len(queries) == 3


def test_a_deleted_subscriber_is_owed_nothing_and_keeps_what_it_had(
    declare: Declare,
) -> None:
    declare()
    send()
    deliver_due()
    send()
    Subscriber.objects.update(deleted_at="2026-01-01T00:00:00Z")
    assert states() == ["ACKNOWLEDGED"]


def test_cursor_then_rows_then_acknowledgements_are_read(declare: Declare) -> None:
    """In another order an event that fails meanwhile would be called done."""
    declare()
    send()
    deliver_due()
    with CaptureQueriesContext(connection) as queries:
        look()
    tables = ("router_cursor", "router_delivery", "router_acknowledgement")
    # A new session may begin a transaction between them.
    read = [
        table
        for query in queries
        for table in tables
        if f'FROM "{table}"' in query["sql"]
    ]
    assert read == list(tables)


def test_what_is_set_aside_between_two_statements_is_found(declare: Declare) -> None:
    row = declare().row
    send()
    chunk = next_chunk(row.pk)
    assert chunk is not None

    class Meanwhile(type(Delivery.objects.all())):  # type: ignore[misc]
        def __iter__(self) -> Any:
            if not Delivery.objects.exists():
                set_aside(chunk, Retry(Evidence("no")), run_ms=1.0, is_last=True)
            return super().__iter__()

    found = outcomes_of(EventRecord.objects.all(), Meanwhile(Delivery))
    assert len(found.deliveries) == 1
    assert found.by_cursor == []


def test_statements_grow_neither_with_events_nor_with_subscribers(
    declare: Declare,
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            look()
        return len(queries)

    declare()
    send()
    deliver_due()
    before = statements()
    for index in range(5):
        declare(f"more_{index}")
    send(5)
    deliver_due()
    assert len(look().by_cursor) == 1 + 6 * 5
    assert statements() == before


class TestAbove:
    def test_what_is_wanted_above_the_cursor_is_owed(self, declare: Declare) -> None:
        row = declare().row
        send(3)
        send(2, "other.happened")
        owed = owed_above_cursors()[row.pk]
        assert (owed.waiting, owed.working, owed.has_more) == (3, 0, False)
        assert owed.oldest_waiting_at == EventRecord.objects.get(position=1).recorded_at
        deliver_due()
        assert row.pk not in owed_above_cursors()

    def test_a_chunk_at_work_is_counted_apart(self, declare: Declare) -> None:
        row = declare().row
        send(3)
        chunk = next_chunk(row.pk)
        assert chunk is not None
        owed = owed_above_cursors()[row.pk]
        assert (owed.waiting, owed.working) == (2, 1)
        (overview,) = subscribers_overview()
        assert (overview.waiting, overview.working) == (2, 1)
        oldest = EventRecord.objects.get(position=1).recorded_at
        assert overview.oldest_owed_at == oldest
        assert overview.oldest_waiting_at
        # SQLite's clock has milliseconds.
        assert overview.oldest_waiting_at >= oldest

    def test_each_period_counts_what_was_asked_for_then(self, declare: Declare) -> None:
        declare(events=["thing.happened"])
        send(2)
        send(2, "other.happened")
        row = declare(events=["other.*"]).row
        send(3)
        send(3, "other.happened")
        assert owed_above_cursors()[row.pk].waiting == 2 + 3

    def test_a_pattern_has_no_other_magic(self, declare: Declare) -> None:
        row = declare(events=["a_b.*"]).row
        send(1, "a_b.c")
        send(1, "axb.c")
        send(1, "A_B.c")
        assert owed_above_cursors()[row.pk].waiting == 1

    def test_a_test_event_is_owed_to_one(self, declare: Declare) -> None:
        other, row = declare("other").row, declare("listener").row
        send(1, "other.happened")
        EventRecord.objects.update(only_for=row.pk)
        assert owed_above_cursors()[row.pk].waiting == 1
        assert owed_above_cursors()[other.pk].waiting == 0

    def test_the_look_ends_and_says_so(
        self, declare: Declare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(above, "LOOK", 4)
        row = declare().row
        send(6)
        owed = owed_above_cursors()[row.pk]
        assert (owed.waiting, owed.has_more) == (4, True)
        declare("second")
        Cursor.objects.update(position=0)
        # The look is shared.
        owed = owed_above_cursors()[row.pk]
        assert (owed.waiting, owed.has_more) == (2, True)

    def test_the_last_minute_counts_events_of_chunks_and_of_rows(
        self, declare: Declare
    ) -> None:
        row = declare().row
        other = declare("other", is_safe_concurrently=True).row
        send(5)
        deliver_due()
        assert acknowledged_last_minute() == {row.pk: 5, other.pk: 5}

"""The fast path: a subscriber with nothing else due is sent new events as routed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from router.flow.deliver.claiming import claim
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.route.routing import Routed, route_batch
from router.models import Delivery, EventRecord, Subscriber
from router.public import publish
from router.registry import isolated
from tests.contract.steps import a_puller
from tests.receivers import Declare

TYPE = "thing.happened"
#: As many as run in `chunk_seconds`.
CHUNK = 10
RUN_MS = 25.0


@pytest.fixture
def row(declare: Declare) -> Subscriber:
    """A handler that is known, idle and well."""
    receiver = declare()
    Subscriber.objects.update(mean_run_ms=RUN_MS)
    return receiver.row


def everywhere(_: Subscriber) -> bool:
    return True


def happen(count: int = 1, data: object = None) -> Routed:
    with transaction.atomic():
        for _ in range(count):
            publish(TYPE, data)
    return route_batch(has_room=everywhere)


def marks() -> set[tuple[bool, int]]:
    """Of all deliveries: whether it is marked, and how often it was sent."""
    rows = Delivery.objects.values_list("dispatched_until", "dispatch_count")
    now = timezone.now()
    return {(until is not None and until > now, count) for until, count in rows}


@pytest.mark.parametrize("count", [1, CHUNK])
def test_a_subscriber_with_nothing_else_due_takes_the_fast_path(
    row: Subscriber, count: int
) -> None:
    routed = happen(count)

    (chunk,) = routed.chunks
    assert chunk.subscriber == row
    assert len(chunk.ids) == count
    assert not routed.has_rest
    assert marks() == {(True, 1)}
    assert subscribers_due() == []
    claimed = claim(row.pk, chunk.ids)
    assert claimed is not None
    assert claimed.ids == list(chunk.ids)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "paused"},
        {"breaker": "open", "probe_at": timezone.now()},
        {"ramp": 1},
        {"rate_per_second": 5.0},
        {"in_flight_limit": 5},
        {"transport": "webhook"},
        {"transport": "pull"},
        {"filter": {"dialect of": "nobody"}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_whoever_has_rules_of_its_own_is_left_to_the_look(
    row: Subscriber, changes: dict[str, object]
) -> None:
    Subscriber.objects.update(**changes)

    routed = happen()

    assert routed.chunks == ()
    assert routed.has_rest
    assert marks() == {(False, 0)}


def leave_it_due(row: Subscriber) -> None:
    publish(TYPE, None)
    route_batch()


def let_it_be_due_soon(row: Subscriber) -> None:
    """Before the message is there, another dispatcher may have sent it."""
    leave_it_due(row)
    Delivery.objects.update(due_at=timezone.now() + timedelta(seconds=0.5))


def send_it(row: Subscriber) -> tuple[int, ...]:
    leave_it_due(row)
    chunk = mark_chunk(row)
    assert chunk is not None
    return chunk.ids


def lease_it(row: Subscriber) -> None:
    assert claim(row.pk, send_it(row)) is not None


@pytest.mark.parametrize("begin", [leave_it_due, let_it_be_due_soon, send_it, lease_it])
def test_while_something_else_is_due_or_under_way_the_new_waits(
    row: Subscriber, begin: Callable[[Subscriber], object]
) -> None:
    begin(row)

    assert happen().chunks == ()
    assert Delivery.objects.filter(dispatch_count=0, dispatched_until=None).exists()


def test_more_than_a_chunk_waits_whole(row: Subscriber) -> None:
    assert happen(CHUNK + 1).chunks == ()


def test_whoever_was_never_measured_gets_one(row: Subscriber) -> None:
    Subscriber.objects.update(mean_run_ms=None)

    assert happen(2).chunks == ()
    Delivery.objects.all().delete()
    assert len(happen().chunks) == 1


def test_events_that_are_too_heavy_together_wait(
    row: Subscriber, settings: Any
) -> None:
    settings.ROUTER = {"CHUNK_BYTES": 2000}

    assert happen(2, data="x" * 1500).chunks == ()
    Delivery.objects.all().delete()
    assert len(happen(data="x" * 2500).chunks) == 1


def test_a_handler_that_is_not_installed_here_is_sent_nothing(row: Subscriber) -> None:
    with isolated():
        assert happen().chunks == ()


def test_it_is_each_subscriber_for_itself(row: Subscriber, declare: Declare) -> None:
    other = declare("busy").row
    Subscriber.objects.update(mean_run_ms=RUN_MS)
    Subscriber.objects.filter(pk=other.pk).update(state="paused")

    routed = happen()

    assert [chunk.subscriber for chunk in routed.chunks] == [row]
    assert routed.has_rest
    assert marks() == {(True, 1), (False, 0)}


def test_where_no_room_is_known_all_of_it_waits(row: Subscriber) -> None:
    publish(TYPE, None)

    assert route_batch(has_room=lambda subscriber: subscriber != row).chunks == ()
    assert marks() == {(False, 0)}


@pytest.mark.parametrize("count", [1, 3, 7])
def test_a_batch_is_as_large_as_the_subscribers_of_now_allow(
    declare: Declare, settings: Any, count: int
) -> None:
    """How many events are read is guessed by the subscribers of the last batch."""
    for n in range(count):
        a_puller(f"puller_{n}")
    route_batch()
    Subscriber.objects.all().delete()
    for name in ("one", "two", "three"):
        declare(name)
    settings.ROUTER = {"ROUTE_LIMIT": 6}
    for _ in range(4):
        publish(TYPE, None)

    batches = [route_batch() for _ in range(5)]

    assert max(batch.event_count for batch in batches) == 2
    assert sum(batch.event_count for batch in batches) == 4
    assert all(batch.is_full for batch in batches if not is_last(batch))


def is_last(batch: Routed) -> bool:
    newest = EventRecord.objects.latest("number")
    return batch.last_number in (0, newest.number)

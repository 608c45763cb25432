"""Streamed subscribers that want an event are sent a message as it is routed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from router.flow.cursor.reading import next_chunk
from router.flow.cursor.streamed import MAX_AGE_SECONDS, Streamed
from router.flow.dispatch.ring import Wanted
from router.flow.route.routing import Routed, route_batch
from router.models import Delivery, EventRecord, Subscriber, Turn
from router.public import publish
from router.registry import isolated
from tests.contract.steps import a_puller
from tests.receivers import Declare

TYPE = "thing.happened"


@pytest.fixture
def row(declare: Declare) -> Subscriber:
    """A handler that is in the stream, free and well."""
    return declare().row


def everywhere(_: Subscriber) -> bool:
    return True


def happen(count: int = 1, *, streamed: Streamed | None = None, **named: Any) -> Routed:
    with transaction.atomic():
        for _ in range(count):
            publish(TYPE, None, **named)
    return route_batch(has_room=everywhere, streamed=streamed)


def rung(routed: Routed) -> list[Subscriber]:
    assert all(chunk.ids == () for chunk in routed.chunks)
    return [chunk.subscriber for chunk in routed.chunks]


def is_marked(row: Subscriber) -> bool:
    return Turn.objects.filter(pk=row.pk, marked_until__gt=timezone.now()).exists()


def looked_up() -> list[Subscriber]:
    """Who the look of a dispatcher that has just started would ring for."""
    return Wanted().due()


@pytest.mark.parametrize("count", [1, 10])
def test_a_free_one_is_marked_and_rung_for_at_once(row: Subscriber, count: int) -> None:
    assert rung(happen(count)) == [row]
    assert is_marked(row)
    assert looked_up() == []
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "paused"},
        {"breaker": "open", "probe_at": timezone.now()},
        {"not_before": "2100-01-01T00:00:00Z"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_held_one_is_not(row: Subscriber, changes: dict[str, object]) -> None:
    Subscriber.objects.update(**changes)

    assert rung(happen()) == []
    assert not is_marked(row)
    assert looked_up() == []


def mark_it(row: Subscriber) -> None:
    happen()


def lease_it(row: Subscriber) -> None:
    happen()
    assert next_chunk(row.pk) is not None


@pytest.mark.parametrize("begin", [mark_it, lease_it])
def test_one_that_is_marked_or_leased_is_not_rung_for_again(
    row: Subscriber, begin: Callable[[Subscriber], object]
) -> None:
    begin(row)

    assert rung(happen()) == []


def test_a_handler_that_is_not_installed_here_is_sent_nothing(row: Subscriber) -> None:
    with isolated():
        assert rung(happen()) == []


def test_it_is_each_subscriber_for_itself(row: Subscriber, declare: Declare) -> None:
    declare("others", events=["other.*"])
    paused = declare("paused").row
    Subscriber.objects.filter(pk=paused.pk).update(state="paused")

    assert rung(happen()) == [row]


def test_what_is_for_one_alone_rings_for_it_alone(
    row: Subscriber, declare: Declare
) -> None:
    other = declare("others", events=["other.*"]).row
    publish(TYPE, None)
    EventRecord.objects.update(only_for=other)

    assert rung(route_batch(has_room=everywhere)) == [other]


def test_where_no_room_is_known_the_look_rings(row: Subscriber) -> None:
    publish(TYPE, None)

    assert rung(route_batch(has_room=lambda subscriber: subscriber != row)) == []
    assert not is_marked(row)
    assert looked_up() == [row]


@pytest.mark.parametrize("count", [1, 3, 7])
def test_a_batch_is_as_large_as_its_deliveries_allow(
    declare: Declare, settings: Any, count: int
) -> None:
    """How many events are read is guessed by the subscribers of the last batch."""
    for n in range(count):
        a_puller(f"puller_{n}")
    route_batch()
    Subscriber.objects.all().delete()
    for name in ("one", "two", "three"):
        declare(name, is_safe_concurrently=True)
        declare(f"{name}_streamed")
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


def declare_again(declare: Declare, **options: Any) -> None:
    with isolated():
        declare(**options)


def ask_for_less(declare: Declare) -> None:
    declare_again(declare, events=["other.*"])


def be_another(declare: Declare) -> None:
    declare("another")


def be_served_by_row(declare: Declare) -> None:
    declare_again(declare, is_safe_concurrently=True)


def be_served_by_row_and_again_in_the_stream(declare: Declare) -> None:
    be_served_by_row(declare)
    declare_again(declare)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (ask_for_less, []),
        (be_another, ["listener", "another"]),
        (be_served_by_row, []),
        (be_served_by_row_and_again_in_the_stream, ["listener"]),
    ],
)
def test_what_changed_since_the_last_batch_is_known_in_the_next(
    row: Subscriber,
    declare: Declare,
    change: Callable[[Declare], None],
    expected: list[str],
) -> None:
    """Though a dispatcher keeps what subscribers ask for from one batch to the next."""
    kept = Streamed()
    happen(streamed=kept)

    change(declare)

    wanted = Subscriber.objects.filter(pk__in=happen(streamed=kept).wanted)
    assert [each.name for each in wanted] == expected


def test_a_second_change_at_one_position_is_known_as_well(
    row: Subscriber, declare: Declare
) -> None:
    kept = Streamed()
    happen(streamed=kept)

    ask_for_less(declare)
    # Nothing is new, but the change.
    assert not route_batch(streamed=kept).event_count
    declare_again(declare)

    assert happen(streamed=kept).wanted == {row.pk: 2}


def test_one_that_was_deleted_since_the_last_batch_is_not_marked(
    row: Subscriber,
) -> None:
    kept = Streamed()
    happen(streamed=kept)
    Turn.objects.update(marked_until=None)
    Subscriber.objects.update(deleted_at=timezone.now())

    assert rung(happen(streamed=kept)) == []
    assert not is_marked(row)


def test_a_change_of_queue_is_known_after_a_while(row: Subscriber) -> None:
    now = 0.0
    kept = Streamed(clock=lambda: now)

    def queue() -> str:
        Turn.objects.update(marked_until=None)
        [subscriber] = rung(happen(streamed=kept))
        return subscriber.fixed_queue

    assert queue() == ""
    Subscriber.objects.update(fixed_queue="slow")
    assert queue() == ""
    now += 2 * MAX_AGE_SECONDS
    assert queue() == "slow"

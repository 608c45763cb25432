"""Which pulls are refused, wait or come back with nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router.contract.errors import LeaseLost, NotPulling
from router.flow.cursor.reading import next_chunk
from router.flow.deliver.claiming import claim
from router.flow.deliver.stream import serve
from router.flow.deliver.stream_settling import acknowledge_chunk
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.pull import settling
from router.flow.pull.leasing import MAX_RETRY_AFTER_SECONDS, pull, pull_or_wait
from router.flow.route.routing import route_batch
from router.flow.route.window import fill_windows
from router.models import (
    BreakerState,
    EventRecord,
    Subscriber,
    Transport,
)
from router.operate.declared import pause, resume
from router.operate.switch_transport import switch_transport
from router.public import publish
from tests.contract.steps import (
    TYPE,
    ack,
    extend,
    leases,
    publish_and_route,
    say,
    statements,
    states,
    take,
)
from tests.receivers import Declare


def test_a_held_subscriber_is_given_nothing_and_its_leases_still_count(
    puller: Subscriber,
) -> None:
    publish_and_route(2)
    pulled = take(puller, most=1)
    pause(puller.pk, reason="", by="olga")

    answer = pull(puller.pk, most=10, lease_seconds=30)
    assert (answer.state, answer.deliveries) == ("paused", ())
    assert ack(pulled) == [True]

    resume(puller.pk, by="olga")
    assert ack(take(puller)) == [True]
    # Nothing to recover from: no notice says that it did.
    assert not EventRecord.objects.filter(type__startswith="router.").exists()


@pytest.mark.parametrize(
    ("change", "given"),
    [
        ({"state": "paused"}, ()),  # Nothing, and it says so.
        ({"transport": Transport.WEBHOOK}, None),  # Refused.
    ],
)
def test_what_a_person_changes_between_look_and_lease_counts(
    puller: Subscriber, change: dict[str, Any], given: tuple[()] | None
) -> None:
    publish_and_route()
    has_looked = False

    def change_then(execute: Any, *query: Any) -> Any:
        nonlocal has_looked
        result = execute(*query)
        if not has_looked:
            has_looked = True
            Subscriber.objects.update(**change)
        return result

    with connection.execute_wrapper(change_then):
        try:
            taken = take(puller)
        except NotPulling:
            taken = None
    assert taken == given
    assert states() == ["PENDING"]


def test_who_does_not_pull_is_refused(puller: Subscriber) -> None:
    Subscriber.objects.update(transport=Transport.WEBHOOK)
    with pytest.raises(NotPulling, match="webhook"):
        take(puller)
    Subscriber.objects.update(deleted_at=timezone.now())
    with pytest.raises(NotPulling, match="deleted"):
        take(puller)


def test_what_is_pulled_goes_to_no_worker(declare: Declare) -> None:
    """Though a handler of that name is installed, and a message was on its way."""
    listener = declare(is_safe_concurrently=True)
    publish(TYPE, {})
    route_batch()
    chunk = mark_chunk(listener.row)
    assert chunk is not None

    switch_transport(listener.row.pk, Transport.PULL)

    assert claim(listener.row.pk, chunk.ids) is None
    assert subscribers_due() == []
    assert len(take(listener.row)) == 1


def test_what_its_cursor_had_not_served_is_pulled(declare: Declare) -> None:
    listener = declare()
    publish_and_route(2)
    chunk = next_chunk(listener.row.pk)
    assert chunk is not None

    switch_transport(listener.row.pk, Transport.PULL)
    publish_and_route(1)
    serve(listener.row.pk)
    fill_windows()

    with pytest.raises(LeaseLost), transaction.atomic():
        acknowledge_chunk(chunk, run_ms=[1.0], is_last=True)
    assert len(take(listener.row)) == 3
    assert not listener.seen


def test_a_switch_takes_back_what_is_under_way(puller: Subscriber) -> None:
    publish_and_route(2)
    pulled = take(puller, most=1)
    Subscriber.objects.update(breaker=BreakerState.OPEN, probe_at=timezone.now())

    assert switch_transport(puller.pk, Transport.WEBHOOK) == 1
    assert switch_transport(puller.pk, Transport.WEBHOOK) == 0
    assert states() == ["PENDING", "PENDING"]
    assert ack(pulled) == [False]
    assert switch_transport(puller.pk, Transport.PULL) == 0
    assert ack(pulled) == [False]

    assert len(take(puller)) == 2
    puller.refresh_from_db()
    assert puller.breaker == BreakerState.CLOSED


def test_a_long_poll_has_what_becomes_due_meanwhile(puller: Subscriber) -> None:
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            publish_and_route()

    pulled = pull_or_wait(
        puller.pk, most=1, lease_seconds=30, wait_seconds=20, sleep=sleep
    )

    assert len(pulled.deliveries) == 1
    assert len(looks) == 3


def test_a_long_poll_ends_with_nothing_when_its_time_is_over(
    puller: Subscriber, settings: Any
) -> None:
    settings.ROUTER = {**settings.ROUTER, "PULL_WAIT_MAXIMUM_SECONDS": 0.1}
    pulled = pull_or_wait(puller.pk, most=1, lease_seconds=30, wait_seconds=1e9)
    assert pulled.deliveries == ()


def test_only_so_many_wait_at_once(puller: Subscriber, settings: Any) -> None:
    settings.ROUTER = {**settings.ROUTER, "PULL_WAITS_AT_ONCE": 1}
    answered = []

    def another_comes(seconds: float) -> None:
        if not answered:
            answered.append(
                pull_or_wait(
                    puller.pk,
                    most=1,
                    lease_seconds=30,
                    wait_seconds=20,
                    sleep=lambda seconds: pytest.fail("it waits"),
                )
            )
            publish_and_route()

    first = pull_or_wait(
        puller.pk, most=1, lease_seconds=30, wait_seconds=20, sleep=another_comes
    )
    assert len(first.deliveries) == 1
    assert answered[0].deliveries == ()
    assert 1 <= answered[0].retry_after_seconds <= MAX_RETRY_AFTER_SECONDS
    assert first.retry_after_seconds is None


def test_a_look_that_finds_nothing_costs_one_statement(puller: Subscriber) -> None:
    publish_and_route()
    take(puller)
    assert statements(lambda: take(puller)) == 1


def test_no_secret_of_another_transport_is_read(puller: Subscriber) -> None:
    """Else a puller would be stopped by a lost key of webhooks' headers."""
    publish_and_route(2)
    with CaptureQueriesContext(connection) as seen:
        first, second = take(puller)
        extend(leases([first, second], 30))
        ack([first])
        say(settling.nack, leases([second]))
        switch_transport(puller.pk, Transport.WEBHOOK)
    assert [event for event in seen if "custom_headers" in event["sql"]] == []

"""A handler that leaves the stream and comes back, while workers serve it.

Each event has one effect, and no switch counts as a crash of a worker. Only PostgreSQL
has several writers at a time.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from router.flow.cursor.reading import next_chunk
from router.flow.deliver.claiming import claim
from router.flow.route.window import fill_windows
from router.flow.sweep import sweep, sweep_turns
from router.models import Attempt, Delivery, Subscriber
from router.testing import register_declared
from tests.contract.steps import delivery_ids, publish_and_route
from tests.integration import switched_worker
from tests.integration.test_stream_at_once import (
    EVENTS,
    SECONDS,
    assert_each_effect_is_there_once,
    fleet,
    listener,
    send,
)
from tests.servers.waiting import wait_until

__all__ = ["listener"]

pytestmark = [
    pytest.mark.long,
    pytest.mark.usefixtures("postgresql_url"),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite has one writer at a time"
    ),
]


def effects() -> int:
    return User.objects.count()


def serve_in_stream(is_streamed: bool, settings: Any) -> None:
    """As a dispatcher with this setting does when it starts."""
    settings.ROUTER = {**settings.ROUTER, "STREAM": is_streamed, "WINDOW": 30}
    register_declared()
    assert Subscriber.objects.get().is_streamed == is_streamed


def until(count: int) -> None:
    """What a dispatcher does beside the workers, until so many effects are there."""

    def is_there() -> bool:
        sweep_turns()
        sweep()
        fill_windows()
        return effects() >= count

    wait_until(is_there, SECONDS)


def test_workers_serve_a_backlog_in_the_stream_row_by_row_and_in_the_stream(
    listener: Subscriber, settings: Any
) -> None:
    Subscriber.objects.update(mean_run_ms=5)
    send(EVENTS)

    with fleet(listener, 3, switched_worker.__name__):
        for count in range(20, EVENTS - 20, 40):
            # Whatever is under way at that moment: a chunk, or deliveries.
            serve_in_stream(count % 80 != 20, settings)
            until(count)
        serve_in_stream(True, settings)
        until(EVENTS)

    assert Delivery.objects.count() >= 40
    assert not Attempt.objects.filter(result="VANISHED").exists()
    assert_each_effect_is_there_once(EVENTS)


def test_a_claim_of_deliveries_under_way_is_seen_by_the_stream(
    listener: Subscriber, settings: Any
) -> None:
    """The claim began before there was a Turn: it is waited for."""
    serve_in_stream(False, settings)
    publish_and_route(2)
    fill_windows()
    [first, _] = delivery_ids()
    publish_and_route(1)
    is_claimed, may_commit = threading.Event(), threading.Event()

    def claim_slowly() -> None:
        with closing(connection), transaction.atomic():
            assert claim(listener.pk, [first]) is not None
            is_claimed.set()
            may_commit.wait(SECONDS)

    with ThreadPoolExecutor() as pool:
        claiming = pool.submit(claim_slowly)
        assert is_claimed.wait(SECONDS)
        switching = pool.submit(start_streaming_elsewhere, settings)
        wait_until(lambda: switching.done() or is_waiting(1), SECONDS)
        serving = pool.submit(next_chunk_elsewhere, listener.pk)
        wait_until(lambda: serving.done() or is_waiting(2), SECONDS)
        may_commit.set()
        claiming.result(SECONDS)
        switching.result(SECONDS)

    assert serving.result(SECONDS) is None
    assert Subscriber.objects.get().is_streamed
    # The deliveries are under a lease: the stream waits for it.
    assert next_chunk(listener.pk) is None


def start_streaming_elsewhere(settings: Any) -> None:
    with closing(connection):
        serve_in_stream(True, settings)


def next_chunk_elsewhere(subscriber_id: int) -> Any:
    with closing(connection):
        return next_chunk(subscriber_id)


def is_waiting(count: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted "
            "AND relation = 'router_turn'::regclass"
        )
        return bool(cursor.fetchone() == (count,))

"""Steps that integration tests share; those of the contract tests serve here too."""

from __future__ import annotations

from typing import Any

from celery import Celery
from django.db import connection

from router.celery_settings import DEFAULTS
from router.flow.dispatch.dispatcher import mark_chunks
from router.flow.dispatch.due import subscribers_due
from router.flow.route.routing import route_batch
from router.messaging.broker import Doorbell
from router.models import LIVE, Cursor, Subscriber
from router.public import publish
from tests.contract.steps import TYPE


def silent(event: Any) -> None:
    """Says nothing to the database."""


def talking(event: Any) -> None:
    Subscriber.objects.exists()


def dispatched() -> tuple[int, ...]:
    """The ids of the deliveries of a new event: its one receiver is served by rows."""
    publish(TYPE, {})
    route_batch()
    (chunk,) = mark_chunks(subscribers_due())
    return chunk.ids


def routed() -> None:
    """A new event is above the cursors of those in the stream."""
    publish(TYPE, {})
    route_batch()


def position_of(row: Subscriber) -> int:
    """Where its cursor is."""
    return Cursor.objects.get(subscriber=row, run=LIVE).position


def celery_at(url: str) -> Celery:
    app = Celery("test", broker=url, set_as_current=False)
    app.add_defaults(lambda: DEFAULTS)
    return app


def doorbell_to(url: str) -> Doorbell:
    return Doorbell(celery_at(url))


def lock_waits() -> int:
    """How many of this database's connections wait for another's lock."""
    with connection.cursor() as cursor:
        # In one transaction, every later look has the answer of the first.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return int(cursor.fetchone()[0])

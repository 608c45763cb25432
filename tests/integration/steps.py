"""Steps that integration tests share; those of the contract tests serve here too."""

from __future__ import annotations

from typing import Any

from celery import Celery
from django.db import connection

from router.celery_settings import DEFAULTS
from router.flow.route.routing import route_batch
from router.messaging.broker import Doorbell
from router.models import Subscriber
from router.public import publish
from tests.contract.steps import TYPE


def silent(event: Any) -> None:
    """Says nothing to the database."""


def talking(event: Any) -> None:
    Subscriber.objects.exists()


def routed() -> tuple[int, ...]:
    """The ids of the deliveries of a new event."""
    publish(TYPE, {})
    (chunk,) = route_batch(has_room=lambda _: True).chunks
    return chunk.ids


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

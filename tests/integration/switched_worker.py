"""A worker as `stream_worker`, which delivers what is due row by row as well."""

from __future__ import annotations

from django.db import connection

from router.flow.deliver.delivering import deliver_chunk
from router.models import Delivery
from tests.integration import stream_worker

CHUNK = 10


def deliver_rows(subscriber_id: int) -> None:
    """One worker at a time, as a dispatcher sends one message after the other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(2)")
        (has_message,) = cursor.fetchone()
        if has_message:
            due = Delivery.objects.due().order_by("pk")
            deliver_chunk(subscriber_id, list(due.values_list("pk", flat=True)[:CHUNK]))
            cursor.execute("SELECT pg_advisory_unlock(2)")


def main(subscriber_id: int) -> None:
    stream_worker.main(subscriber_id, deliver_rows)

"""A subscriber that both releases of an upgrade find on their path."""

from __future__ import annotations

from django.db import connection

from router.public import Event, subscriber

#: No constraint hides a second time.
TABLE = "CREATE TABLE ledger (order_id text NOT NULL)"
INSERT = "INSERT INTO ledger VALUES (%s)"


@subscriber("ledger", events=["purchase.completed"])
def write_down(event: Event) -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [event.subject])


def create_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute(TABLE)

"""The commits of a delivery by hand, and nothing else: the least that they can cost.

An event is published, routed, leased and acknowledged in one statement each: without
filters, breakers, retries, an attempt log or limits.
"""

from __future__ import annotations

import os
import time

import psycopg

from benchmarks.adapters.by_hand_app import app, deliver_by_hand
from benchmarks.adapters.insert import announce, prepare

__all__ = ["announce", "prepare", "relay"]

COUNT = int(os.environ.get("BENCH_SUBSCRIBERS", "5"))
#: As often as the router's dispatcher looks while events come.
POLL_SECONDS = 0.001
LOOK = "SELECT FROM by_hand_event WHERE position IS NULL LIMIT 1"
ROUTE = """
    WITH head AS (SELECT position FROM by_hand_head FOR UPDATE),
    new AS (
        SELECT number, row_number() OVER (ORDER BY number) AS place
        FROM by_hand_event WHERE position IS NULL),
    given AS (
        UPDATE by_hand_event AS event SET position = head.position + place
        FROM head, new WHERE event.number = new.number RETURNING event.number),
    moved AS (
        UPDATE by_hand_head SET position = position + (SELECT count(*) FROM new))
    INSERT INTO by_hand_delivery (
        event, subscriber, state, due_at, created_at, dispatched_until, attempts)
    SELECT number, subscriber, 'PENDING', now(), now(), now() + interval '15 seconds', 0
    FROM given, generate_series(0, %s - 1) AS subscriber
    RETURNING id, subscriber"""


def relay() -> None:
    """The dispatcher's share: from the event to its messages."""
    with (
        psycopg.connect(autocommit=True) as connection,
        app.producer_or_acquire() as producer,
    ):
        # To load and connect what the first message needs takes a second.
        producer.connection.ensure_connection()
        app.finalize()
        connection.execute("INSERT INTO by_hand_relay VALUES (now())")
        while True:
            if not connection.execute(LOOK).rowcount:
                time.sleep(POLL_SECONDS)
                continue
            rows = connection.execute(ROUTE, [COUNT]).fetchall()
            with producer.batch():
                for row in rows:
                    deliver_by_hand.apply_async(row, producer=producer)

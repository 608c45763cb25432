"""The commits of a delivery by hand, and nothing else: the least that they can cost.

Published, routed, leased and acknowledged as here, in one statement each: without
filters, breakers, retries, an attempt log or limits.
"""

from __future__ import annotations

import time

import psycopg

from benchmarks.adapters.by_hand_app import app, deliver_by_hand
from benchmarks.adapters.insert import announce, prepare
from router.operate.declared import register_declared

__all__ = ["announce", "prepare", "relay"]

#: As often as the dispatcher looks while events come.
POLL_SECONDS = 0.001
BEAT = """
    INSERT INTO router_heartbeat (name, kind, beat_at)
    VALUES ('by hand', 'dispatcher', now())"""
LOOK = "SELECT FROM router_eventrecord WHERE position IS NULL LIMIT 1"
ROUTE = """
    WITH head AS (SELECT position FROM router_loghead FOR UPDATE),
    new AS (
        SELECT number, row_number() OVER (ORDER BY number) AS place
        FROM router_eventrecord WHERE position IS NULL),
    given AS (
        UPDATE router_eventrecord AS event SET position = head.position + place
        FROM head, new WHERE event.number = new.number RETURNING event.number),
    moved AS (
        UPDATE router_loghead SET position = position + (SELECT count(*) FROM new))
    INSERT INTO router_delivery (
        event_id, subscriber_id, run, origin, ordering_key, state, due_at, created_at,
        dispatched_until, dispatch_count, attempts, failures, vanished, is_manual)
    SELECT number, subscriber.id, 0, 'live', '', 'PENDING', now(), now(),
        now() + interval '15 seconds', 1, 0, 0, 0, false
    FROM given, router_subscriber AS subscriber
    RETURNING id, subscriber_id"""


def relay() -> None:
    """The dispatcher's share: from the event to its messages."""
    register_declared()
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(BEAT)
        while True:
            if not connection.execute(LOOK).rowcount:
                time.sleep(POLL_SECONDS)
                continue
            rows = connection.execute(ROUTE).fetchall()
            with app.producer_or_acquire() as producer, producer.batch():
                for work in rows:
                    deliver_by_hand.apply_async(work, producer=producer)

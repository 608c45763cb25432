"""A worker's share of the commits by hand: the lease, and the acknowledgement."""

from __future__ import annotations

import os
import uuid
from functools import cache
from typing import Any

import psycopg

# Celery would close Django's connections around each task; there are none here.
os.environ.pop("DJANGO_SETTINGS_MODULE", None)

from benchmarks.adapters.bare_celery import app
from benchmarks.recorder import recorder

LEASE = """
    UPDATE by_hand_delivery AS delivery SET state = 'LEASED', lease_token = %s,
        leased_until = now() + interval '90 seconds', attempts = attempts + 1
    FROM by_hand_event AS event
    WHERE delivery.id = %s AND state = 'PENDING' AND event.number = delivery.event
    RETURNING (data->>'at_ns')::bigint"""
SETTLE = """
    UPDATE by_hand_delivery SET state = 'ACKNOWLEDGED', acknowledged_at = now(),
        lease_token = NULL, leased_until = NULL, dispatched_until = NULL
    WHERE id = %s AND lease_token = %s AND state = 'LEASED'"""


@app.task
def deliver_by_hand(delivery: int, subscriber: int) -> None:
    token = uuid.uuid4()
    # A lease that a crash forgets is due anew, so that its commit need not wait.
    (at_ns,) = _leasing().execute(LEASE, [token, delivery]).fetchone() or (0,)
    recorder.note(subscriber, at_ns)
    if _settling().execute(SETTLE, [delivery, token]).rowcount != 1:
        raise AssertionError("the lease was lost")


@cache
def _leasing() -> psycopg.Connection[Any]:
    return psycopg.connect(autocommit=True, options="-c synchronous_commit=off")


@cache
def _settling() -> psycopg.Connection[Any]:
    return psycopg.connect(autocommit=True)

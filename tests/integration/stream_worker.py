"""A worker of the stream that is a process of its own, which tests kill and stop.

It serves the cursor and the deliveries that are due, again and again, and says which
events it begins.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from contextlib import suppress

from django.contrib.auth.models import User
from django.db import connection

from router.db.session import look_at_session
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.stream import serve
from router.models import Delivery
from router.public import Event, subscriber
from tests.contract.steps import TYPE

PAUSE_SECONDS = 0.02
CHUNK = 10


def declare_handler() -> None:
    """What the workers run, and the test registers."""

    @subscriber("listener", events=[TYPE])
    def handle(event: Event) -> None:
        print("begin", event.data["n"], flush=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(1)")
            (is_alone,) = cursor.fetchone()
        if not is_alone:
            print("beside", event.data["n"], flush=True)
        # Each run makes another name: doubles are seen.
        User.objects.create(username=f"{event.data['n']}:{uuid.uuid4()}")
        if "stops_once" in event.data:
            _stop_once(event.data["stops_once"])
        time.sleep(0.002)


def _stop_once(path: str) -> None:
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        print("stopping", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)


def _deliver_rows(subscriber_id: int) -> None:
    """One worker at a time, as a dispatcher sends one message after the other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(2)")
        (has_message,) = cursor.fetchone()
        if has_message:
            due = Delivery.objects.due().order_by("pk")
            deliver_chunk(subscriber_id, list(due.values_list("pk", flat=True)[:CHUNK]))
            cursor.execute("SELECT pg_advisory_unlock(2)")


def main(subscriber_id: int) -> None:
    declare_handler()
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        look_at_session()
        serve(subscriber_id)
        _deliver_rows(subscriber_id)
        print("served", flush=True)
        time.sleep(PAUSE_SECONDS)

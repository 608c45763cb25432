"""A worker of the stream that is a process of its own, which tests kill and stop.

It serves the cursor again and again, and says which events it begins.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.contrib.auth.models import User
from django.db import InterfaceError, OperationalError, connection

from router.db.session import look_at_session
from router.flow.deliver.stream import serve
from router.public import Event, subscriber
from tests.contract.steps import TYPE

PAUSE_SECONDS = 0.02


def declare_handler(**options: Any) -> None:
    """What the workers run, and the test registers."""

    @subscriber("listener", events=[TYPE], **options)
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


def main(
    subscriber_id: int, also_do: Callable[[int], None] = lambda subscriber_id: None
) -> None:
    declare_handler()
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        look_at_session()
        # As Celery tries a task again whose session was cut off in a claim.
        with suppress(OperationalError, InterfaceError):
            serve(subscriber_id)
        also_do(subscriber_id)
        print("served", flush=True)
        time.sleep(PAUSE_SECONDS)

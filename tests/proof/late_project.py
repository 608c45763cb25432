"""Subscribers that had all of the log, and one that comes late, with the deploy that
sets `LATE`; workers find them in `ROUTER["HANDLERS"]`.

Beside them what `manage.py shell` calls, on the same database.
"""

from __future__ import annotations

import os
import time

from django.db import connection

from benchmarks.recorder import recorder
from router.public import Event, publish, subscriber
from router.testing import add_history

TYPE = "thing.happened"
LIVE = "/live"
STANDING = 5
#: Its number in what the recorder writes.
LATE = STANDING
PER_SECOND = 50
#: What the late one received: no constraint hides a second time.
TABLE = "CREATE TABLE late_received (source text, event_id text)"
INSERT = "INSERT INTO late_received VALUES (%s, %s)"


def stand(number: int) -> None:
    @subscriber(f"standing_{number}", events=[TYPE])
    def handle(event: Event) -> None:
        note_wait(number, event)


def note_wait(number: int, event: Event) -> None:
    if event.source == LIVE:
        recorder.note(number, event.data["at_ns"])


def receive(event: Event) -> None:
    note_wait(LATE, event)
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [event.source, event.id])


for _number in range(STANDING):
    stand(_number)
if os.environ.get("LATE"):
    subscriber("late", events=[TYPE], start="beginning")(receive)


def fill() -> None:
    """As many events as the variable says, which all others have had."""
    with connection.cursor() as cursor:
        cursor.execute(TABLE)
    add_history(int(os.environ["HISTORY"]), TYPE, {"at_ns": 0})
    with connection.cursor() as cursor:
        # A million rows take their time.
        cursor.execute("SET statement_timeout TO 0")
        cursor.execute("VACUUM ANALYZE")


def publish_for_ever() -> None:
    """At a steady pace, however long those before take."""
    began_at, count = time.perf_counter(), 0
    while True:
        count += 1
        time.sleep(max(0.0, began_at + count / PER_SECOND - time.perf_counter()))
        publish(TYPE, {"at_ns": time.time_ns()}, source=LIVE)

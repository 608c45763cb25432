"""The least that an outbox can cost: its row, in one INSERT written by hand."""

from __future__ import annotations

import json
import time
import uuid

from django.db import connection

from benchmarks.adapters.fanfare import prepare
from benchmarks.project.handler import TYPE

__all__ = ["announce", "prepare"]

#: As long as the digest and the trace of an event.
DIGEST = "0" * 64
TRACE = "0" * 55
INSERT = (
    "INSERT INTO router_eventrecord (event_id, source, type, subject, time, "
    "dataschema, partitionkey, traceparent, extensions, data, digest, size_bytes, "
    "causation_depth) "
    "VALUES (%s, '/bench', %s, '', now(), '', '', %s, '{}', %s, %s, 60, 0)"
)


def announce(number: int) -> None:
    data = json.dumps({"number": number, "at_ns": time.time_ns()})
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [str(uuid.uuid4()), TYPE, TRACE, data, DIGEST])

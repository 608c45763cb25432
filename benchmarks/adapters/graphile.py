"""graphile-worker: all jobs of an event by one statement in the order's transaction.

Its worker is another language's: what is left to Python is to start it.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from django.db import connection

COUNT = int(os.environ.get("BENCH_SUBSCRIBERS", "5"))
NODE = [os.environ["BENCH_NODE"], str(Path(__file__).with_name("graphile_worker.cjs"))]
ADD = """
    SELECT FROM graphile_worker.add_jobs(ARRAY(
        SELECT json_populate_record(NULL::graphile_worker.job_spec, job)
        FROM json_array_elements(%s::json) AS job))"""


def prepare() -> None:
    subprocess.run([*NODE, "prepare"], check=True)


def announce(number: int) -> None:
    at_ns = time.time_ns()
    jobs = [
        {"identifier": "deliver", "payload": [subscriber, number, str(at_ns)]}
        for subscriber in range(COUNT)
    ]
    with connection.cursor() as cursor:
        cursor.execute(ADD, [json.dumps(jobs)])


def work() -> None:
    os.execvp(NODE[0], [*NODE, "work"])

"""Celery without Django or any state, and tasks that do nothing: the measure."""

from __future__ import annotations

import os
import time

from celery import Celery
from celery.signals import worker_ready

from benchmarks.recorder import recorder

app = Celery("bare", broker=os.environ["BROKER_URL"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_serializer="json",
    worker_prefetch_multiplier=int(os.environ["BENCH_PREFETCH"]),
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
worker_ready.connect(recorder.ready, dispatch_uid="bare.ready")
COUNT = int(os.environ.get("BENCH_SUBSCRIBERS", "5"))


@app.task
def deliver(subscriber: int, number: int, at_ns: int) -> None:
    recorder.note(subscriber, at_ns)


def announce(number: int) -> None:
    at_ns = time.time_ns()
    for subscriber in range(COUNT):
        deliver.delay(subscriber, number, at_ns)

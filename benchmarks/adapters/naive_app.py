"""The Celery application of projects without the router; tasks need their tables."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import worker_ready

from benchmarks.recorder import recorder

app = Celery("naive", broker=os.environ["BROKER_URL"])
app.conf.update(
    imports=[f"benchmarks.adapters.{os.environ['BENCH_MODULE']}"],
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=int(os.environ["BENCH_PREFETCH"]),
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
# Without it the connection is opened anew for each task: a quarter of the speed. It is
# looked up by this name alone.
app.conf["CELERY_DB_REUSE_MAX"] = 10_000
worker_ready.connect(recorder.ready, dispatch_uid="naive.ready")

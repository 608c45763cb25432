"""What many projects do instead: plain Celery, with the recommended settings."""

from __future__ import annotations

from celery import Celery
from django.conf import settings

app = Celery("naive")
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL,
    imports=["tests.chaos.project.naive_tasks"],
    task_ignore_result=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
)

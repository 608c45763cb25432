"""A worker that is asked to stop begins no more webhooks, and gives them back."""

from __future__ import annotations

from typing import Any

from celery.signals import worker_shutting_down

from router.transports.webhook import event_loop


def connect() -> None:
    worker_shutting_down.connect(_begin_no_more, dispatch_uid="router.worker_end")


def _begin_no_more(**_: Any) -> None:
    event_loop.begin_no_more()

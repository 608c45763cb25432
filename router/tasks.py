"""Celery's tasks: each calls one function of the flow."""

from __future__ import annotations

from collections.abc import Sequence

from celery import shared_task
from django.db import InterfaceError, OperationalError

from router.db.session import look_at_session
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.stream import serve
from router.messaging.broker import TASK


@shared_task(
    name=TASK,
    acks_late=True,
    reject_on_worker_lost=True,
    ignore_result=True,
    # Only for a database that is away. Few and short: the dispatcher sends the
    # deliveries again when their mark or their lease ends.
    autoretry_for=(OperationalError, InterfaceError),
    retry_backoff=1,
    retry_backoff_max=5,
    retry_jitter=True,
    max_retries=3,
)
def deliver(subscriber_id: int, ids: Sequence[int]) -> None:
    """Deliver these deliveries of one subscriber; without ids, serve its cursor.

    A worker of an older release, which knows no cursor, finds nothing to deliver: the
    subscriber is rung for again once its mark has passed.
    """
    look_at_session()
    if ids:
        deliver_chunk(subscriber_id, ids)
    else:
        serve(subscriber_id)

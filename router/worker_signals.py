"""A worker's heartbeat while it runs, and the end of its webhooks when it stops."""

from __future__ import annotations

import logging
from threading import Event as Flag
from threading import Thread
from typing import Any

from celery import current_app
from celery.signals import (
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from django.db import Error, connection

from router.conf import conf
from router.db.reachability import why
from router.flow.heartbeats import beat, heartbeat_name, remove_heartbeat
from router.models import Heartbeat
from router.tracing import spans
from router.transports.webhook import event_loop

logger = logging.getLogger(__name__)
KIND = Heartbeat.Kind.WORKER
_stop = Flag()


def connect() -> None:
    worker_ready.connect(_start, dispatch_uid="router.worker_signals")
    worker_shutdown.connect(_end, dispatch_uid="router.worker_signals")
    worker_shutting_down.connect(_begin_no_more, dispatch_uid="router.worker_end")
    # A child of the pool ends without what `atexit` has.
    worker_process_shutdown.connect(spans.end, dispatch_uid="router.worker_spans")


def _queues() -> set[str]:
    return set(current_app.amqp.queues.consume_from)


def _start(**_: Any) -> None:
    Thread(target=_beat_on, name="heartbeat", daemon=True).start()


def _beat_on() -> None:
    while not _stop.is_set():
        _quietly(lambda: beat(heartbeat_name(KIND), KIND, queues=_queues()))
        _stop.wait(conf().heartbeat_seconds)


def _end(**_: Any) -> None:
    _stop.set()
    _quietly(lambda: remove_heartbeat(heartbeat_name(KIND)))


def _quietly(say: Any) -> None:
    """Whatever the database does, the worker works on.

    The connection is closed each time: a pool child forked meanwhile must inherit none.
    """
    try:
        say()
    except Error as error:
        logger.info("No sign of life was written: %s", why(error))
    finally:
        connection.close()


def _begin_no_more(**_: Any) -> None:
    """A worker that is asked to stop begins no more webhooks, and gives them back."""
    event_loop.begin_no_more()

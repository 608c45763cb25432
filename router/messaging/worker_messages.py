"""The door of a worker: what is no message of the router's never reaches Celery.

Celery trusts its broker. A header of the wrong kind ends a worker, and the message
comes back to the next one; other headers start other tasks, wait for days, or unpack to
gigabytes. A message of the router's is a doorbell with a few numbers, so it is checked
whole, and Celery gets headers that are made here.
"""

from __future__ import annotations

import json
import logging
import math
import re
import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from amqp.basic_message import Message as AmqpMessage
from amqp.exceptions import FrameSyntaxError
from celery.worker.consumer import Consumer as CeleryConsumer
from django.utils import timezone
from kombu import compression

from router.conf import QUEUES, conf
from router.messaging.broker import TASK
from router.messaging.redis_qos import tolerate

#: A chunk has some hundred ids of up to 19 digits.
MAX_BODY_BYTES = 256 * 1024
MAX_ID_LENGTH = 64
#: Celery's own retries, while the database is away, wait seconds.
MAX_WAIT = timedelta(minutes=10)
MAX_RETRIES = 10
MAX_INTEGER = 2**63 - 1
#: Where RabbitMQ hands out what Celery made wait, and what it writes before the queue.
DELAYED = "celery_delayed_delivery"
DELAYS = re.compile(r"^(?:[01]\.)+")
#: What junk in the properties of an AMQP message raises.
UNREADABLE = (
    ValueError,
    # Of a time that the system's clock can't have.
    OSError,
    ArithmeticError,
    LookupError,
    TypeError,
    RecursionError,
    struct.error,
    FrameSyntaxError,
)

logger = logging.getLogger(__name__)


class Foreign(Exception):
    """The message is not the router's; the text says why, without its content."""


class Consumer(CeleryConsumer):
    """Celery's setting `worker_consumer` names it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: A site of your own may have tasks of its own in the same worker.
        self._is_ours_alone = set(self.app.amqp.queues.consume_from) <= {
            *QUEUES.values()
        }
        if self._is_ours_alone:
            _refuse_compression()
        _read_on_after_properties()

    def connection_for_read(self, heartbeat: float | None = None) -> Any:
        connection = self.app.connection_for_read(heartbeat=heartbeat)
        tolerate(connection)
        return self.ensure_connected(connection)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        handle = super().create_task_handler(*args, **kwargs)

        def on_message(message: Any) -> None:
            try:
                if self._is_ours_alone or is_named_as_ours(message):
                    check(message)
            except Foreign as reason:
                self._drop(message, reason)
            else:
                handle(message)

        return on_message

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Celery's own writes the body into the log."""
        self._drop(message, "It can't be unpacked.")

    def _drop(self, message: Any, reason: object) -> None:
        logger.warning("A message that is not the router's: dropped. %s", reason)
        errors = self.connection_errors  # type: ignore[attr-defined]  # the stubs lack it
        message.reject_log_error(logger, errors)


def is_named_as_ours(message: Any) -> bool:
    return isinstance(message.headers, dict) and message.headers.get("task") == TASK


def check(message: Any) -> None:
    """Raises `Foreign`, or leaves the message with the headers that Celery needs."""
    if not is_named_as_ours(message):
        raise Foreign("It names another task.")
    kind = message.content_type, message.content_encoding
    if kind != ("application/json", "utf-8"):
        raise Foreign("Its body is not JSON in UTF-8.")
    queue = _queue(message.delivery_info)
    _check_body(message.body)
    # Celery sends a retry to where the message says that it came from.
    message.delivery_info = {"exchange": "", "routing_key": queue}
    given = message.headers
    message.headers = {
        "lang": "py",
        "task": TASK,
        "id": _id(given.get("id")),
        "retries": _retries(given.get("retries")),
        "eta": _eta(given.get("eta")),
        "timelimit": [math.ceil(conf().lease_seconds), None],
        "ignore_result": True,
        # Of an event's data nothing is in the arguments, so Celery may show them.
        "argsrepr": "(…)",
        "kwargsrepr": "{}",
    }


def _queue(delivery_info: Any) -> str:
    """The queue that the message came by, straight or after a wait in RabbitMQ."""
    if isinstance(delivery_info, dict):
        exchange, key = delivery_info.get("exchange"), delivery_info.get("routing_key")
        if isinstance(key, str) and exchange in ("", DELAYED, *QUEUES.values()):
            queue = DELAYS.sub("", key) if exchange == DELAYED else key
            if queue in QUEUES.values():
                return queue
    raise Foreign("It came by another exchange or routing key.")


def _check_body(body: Any) -> None:
    if not isinstance(body, bytes | str) or len(body) > MAX_BODY_BYTES:
        raise Foreign("Its body is missing or too large.")
    try:
        match json.loads(body):
            case [[subscriber_id, [*ids]], {**keywords}, {**embedded}]:
                numbers = [subscriber_id, *ids]
            case _:
                raise Foreign("Its arguments are not a subscriber and deliveries.")
    except (ValueError, RecursionError):
        raise Foreign("Its body is not JSON.") from None
    if keywords or any(value is not None for value in embedded.values()):
        raise Foreign("It has other arguments, or starts other tasks.")
    if not all(type(each) is int and 0 < each <= MAX_INTEGER for each in numbers):
        raise Foreign("Its arguments are no ids.")


def _id(value: Any) -> str:
    if isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH:
        return value
    raise Foreign("Its id is no text, or too long.")


def _retries(value: Any) -> int:
    if value is None:
        return 0
    if type(value) is int and 0 <= value <= MAX_RETRIES:
        return value
    raise Foreign("Its number of retries is none.")


def _eta(value: Any) -> str | None:
    if value is None:
        return None
    try:
        eta = datetime.fromisoformat(value)
        if eta - timezone.now() < MAX_WAIT:
            return str(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise Foreign("Its time is none, or far away.")


def _refuse_compression() -> None:
    """The router's messages are small; kombu would unpack others without a limit."""

    def refuse(body: Any) -> bytes:
        raise ValueError("Compressed messages are not taken.")

    for kind in compression.encoders():
        encoder: Any = compression.get_encoder(kind)
        compression.register(encoder[0], refuse, kind)


def _read_on_after_properties() -> None:
    """A message whose properties can't be decoded has none, and is dropped.

    The AMQP client lets the error through, the worker ends, and RabbitMQ gives the
    message to the next one.
    """
    content: Any = AmqpMessage
    read = content._load_properties

    def read_or_none(message: Any, *place: Any) -> None:
        try:
            read(message, *place)
        except UNREADABLE:
            message.properties = {}

    content._load_properties = read_or_none

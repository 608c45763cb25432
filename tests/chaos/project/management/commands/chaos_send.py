from __future__ import annotations

import json
import signal
import time
import uuid
from threading import Event as Flag
from typing import Any

import amqp
from django.conf import settings
from django.core.management.base import BaseCommand

from tests.chaos.foreign import BRIDGE
from tests.chaos.project.effects import write_line
from tests.chaos.project.handler import TYPE
from tests.chaos.subscribers import OTHER_SHOP, is_poison

PER_SECOND = 5
TIMEOUT_SECONDS = 2
PAUSE_AFTER_ERROR_SECONDS = 0.5


class Command(BaseCommand):
    help = "Announce the orders of another shop in its RabbitMQ, until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = Flag()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        while not stop.is_set():
            try:
                send_until(stop)
            except (OSError, amqp.exceptions.AMQPError) as error:
                print(f"{type(error).__name__}: {error}", flush=True)
                stop.wait(PAUSE_AFTER_ERROR_SECONDS)


def send_until(stop: Flag) -> None:
    """An order that RabbitMQ confirmed is ok; of any other nothing is known."""
    feed = settings.ROUTER["BRIDGES"][BRIDGE]
    host = feed["url"].rpartition("@")[2].strip("/")
    with amqp.Connection(
        host,
        confirm_publish=True,
        connect_timeout=TIMEOUT_SECONDS,
        read_timeout=TIMEOUT_SECONDS,
        write_timeout=TIMEOUT_SECONDS,
    ) as connection:
        channel = connection.channel()
        while not stop.wait(1 / PER_SECOND):
            order = _new_order()
            _write(order, "invoked", is_cursed=False)
            channel.basic_publish_confirm(_message(order), routing_key=feed["queue"])
            _write(order, "ok", ms=0.0)


def _new_order() -> str:
    """One that every subscriber takes."""
    while is_poison(order := str(uuid.uuid4())):
        pass
    return order


def _message(order: str) -> amqp.Message:
    event = {
        "specversion": "1.0",
        "id": order,
        "source": OTHER_SHOP,
        "type": TYPE,
        "data": {"is_cursed": False},
    }
    return amqp.Message(
        json.dumps(event),
        content_type="application/cloudevents+json",
        delivery_mode=2,
    )


def _write(order: str, what: str, **more: object) -> None:
    line = {"order": order, "what": what, "at": time.time(), **more}
    write_line(settings.CHAOS_DIR / "sent.jsonl", line)

"""One checkout: an order and its announcement in one transaction, and its log."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string

from router.public import publish
from tests.chaos.project.effects import write_line
from tests.chaos.project.failpoints import reached
from tests.chaos.project.models import Order
from tests.chaos.subscribers import SOURCE, is_poison

CURSED_SHARE = 1 / 100
ROLLED_BACK_SHARE = 1 / 25


class RolledBack(Exception):
    """The customer left at the last moment."""


def announce_event(order_id: str, is_cursed: bool) -> None:
    publish("order.placed", {"is_cursed": is_cursed}, source=SOURCE, id=order_id)


def announcer() -> Callable[[str, bool], None]:
    if not settings.IS_NAIVE:
        return announce_event
    # Its tasks belong to a Celery application that the router must not meet.
    announce: Callable[[str, bool], None] = import_string(
        "tests.chaos.project.naive_tasks.announce"
    )
    return announce


class Till:
    """Makes checkouts and logs each as invoked, then ok, failed or unknown."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._announce = announcer()

    def checkout(self, *, is_plain: bool = False) -> bool:
        """Make one checkout; returns whether it ended well.

        Every subscriber takes the order of a plain checkout.
        """
        order_id, is_cursed = str(uuid.uuid4()), random.random() < CURSED_SHARE
        while is_plain and (is_cursed or is_poison(order_id)):
            order_id, is_cursed = str(uuid.uuid4()), False
        self._write(order_id, "invoked", is_cursed=is_cursed)
        started_at = time.monotonic()
        outcome = self._buy(order_id, is_cursed)
        took_ms = (time.monotonic() - started_at) * 1000
        self._write(order_id, outcome, ms=took_ms)
        return outcome == "ok"

    def _buy(self, order_id: str, is_cursed: bool) -> str:
        is_complete = False
        try:
            with transaction.atomic():
                transaction.on_commit(lambda: reached("publisher-after-commit"))
                Order.objects.create(id=order_id, is_cursed=is_cursed)
                self._announce(order_id, is_cursed)
                if random.random() < ROLLED_BACK_SHARE:
                    raise RolledBack
                is_complete = True
        except RolledBack:
            return "failed"
        except Exception as error:  # noqa: BLE001 - the log shows every kind of error
            print(f"{order_id}: {type(error).__name__}: {error}", flush=True)
            connection.close()
            # Before COMMIT was sent nothing can have happened; after it anything can.
            return "unknown" if is_complete else "failed"
        return "ok"

    def _write(self, order_id: str, what: str, **more: object) -> None:
        line = {"order": order_id, "what": what, "at": time.time(), **more}
        write_line(self._log, line)

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError, connection

from tests.chaos.project import collecting
from tests.chaos.project.checkout import Till

PAUSE_SECONDS = 0.2
#: A poison event that nothing succeeded beside waits for the next success.
LATE_CUSTOMER_SECONDS = 2.0


class Command(BaseCommand):
    help = "Wait until nothing is open any more, then print what is in the database."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--wait", type=float, default=30)

    def handle(self, *args: Any, **options: Any) -> None:
        is_open = (
            collecting.is_naive_open if settings.IS_NAIVE else collecting.is_router_open
        )
        deadline = time.monotonic() + options["wait"]
        late = Till(settings.CHAOS_DIR / "checkouts-late.jsonl")
        next_at = time.monotonic() + LATE_CUSTOMER_SECONDS
        while _safely(is_open) and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)
            if not settings.IS_NAIVE and time.monotonic() > next_at:
                late.checkout(is_plain=True)
                next_at = time.monotonic() + LATE_CUSTOMER_SECONDS
        self.stdout.write(json.dumps(collecting.everything()))


def _safely(is_open: Callable[[], bool]) -> bool:
    try:
        return is_open()
    except (DatabaseError, InterfaceError):
        connection.close()
        return True

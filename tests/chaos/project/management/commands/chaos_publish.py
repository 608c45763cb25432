from __future__ import annotations

import signal
from threading import Event as Flag
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from tests.chaos.project.checkout import Till

PAUSE_AFTER_ERROR_SECONDS = 0.2


class Command(BaseCommand):
    help = "Make checkouts at a steady rate until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--per-second", type=float, default=15)

    def handle(self, *args: Any, **options: Any) -> None:
        stop = Flag()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        till = Till(settings.CHAOS_DIR / f"checkouts-{options['name']}.jsonl")
        while not stop.is_set():
            is_well = till.checkout()
            rest = 1 / options["per_second"]
            stop.wait(rest if is_well else max(rest, PAUSE_AFTER_ERROR_SECONDS))

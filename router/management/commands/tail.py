from __future__ import annotations

from collections.abc import Iterable
from time import sleep
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from router.management import terminal
from router.management.screens.tail import Line, Tail

POLL_SECONDS = 0.25


class Command(BaseCommand):
    help = "Show events and deliveries as they happen; never an event's data."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "-n", "--lines", type=int, default=20, help="begin with the last N lines"
        )
        parser.add_argument("--once", action="store_true", help="end after them")

    def handle(self, *args: Any, **options: Any) -> None:
        self.console = terminal.console(self.stdout, is_plain=options["no_color"])
        tail = Tail()
        self._print(tail.last(max(0, options["lines"])))
        try:
            while not options["once"]:
                self._print(tail.new())
                sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            return

    def _print(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self.console.print(line.text)
        self.stdout.flush()

from __future__ import annotations

from time import sleep
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console
from rich.live import Live

from router.management import terminal
from router.management.screens.status import status_screen

REFRESH_SECONDS = 1.0


class Command(BaseCommand):
    help = "Show each subscriber, its backlog and failures, and what runs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--watch", action="store_true", help="go on until stopped with Ctrl-C"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        console = terminal.console(self.stdout, is_plain=options["no_color"])
        if not options["watch"]:
            console.print(status_screen())
            return
        try:
            self._watch(console)
        except KeyboardInterrupt:
            return

    def _watch(self, console: Console) -> None:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                screen = status_screen()
                if console.is_terminal:
                    live.update(screen, refresh=True)
                else:
                    console.print(screen, end="\n\n")
                sleep(REFRESH_SECONDS)

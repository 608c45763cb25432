from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, connections

from shop import intents
from shop.repeating import rounds
from shop.settlement import settle
from shop.settling import uncaptured

DAY_SECONDS = 86_400


class Command(BaseCommand):
    help = (
        "Finish payments that were interrupted: ask the bank about unknown ones, "
        "capture those of recorded orders, void those without an order."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument(
            "--dry-run", action="store_true", help="count, and change nothing"
        )
        mode.add_argument(
            "--every",
            type=float,
            metavar="SECONDS",
            help="go on until SIGTERM, with a round each SECONDS; a round that changed "
            "something prints one line, and an outage of the database ends nothing",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            self._count()
        elif options["every"] is None:
            self._once()
        elif 1 <= options["every"] <= DAY_SECONDS:
            self._repeat(options["every"])
        else:
            raise CommandError("--every takes 1 to 86400 seconds: --every 120")

    def _count(self) -> None:
        self.stdout.write(f"{len(intents.unanswered())} to ask about")
        self.stdout.write(f"{len(intents.orphaned())} to void")
        self.stdout.write(f"{len(uncaptured())} to capture")

    def _once(self) -> None:
        done = settle()
        for line in done.lines():
            self.stdout.write(line)
        if done.left:
            raise CommandError(
                f"{done.left} could not be settled. Run this again later."
            )

    def _repeat(self, every_seconds: float) -> None:
        before = ""
        for _ in rounds(every_seconds):
            is_change, line = self._round()
            # What does not change, such as a bank that is down, is logged once.
            if line and (is_change or line != before):
                self.stdout.write(line)
            before = line
            # A round is seconds of minutes: in between the database serves others.
            connections.close_all()

    def _round(self) -> tuple[bool, str]:
        """Whether the round changed something, and the line that says what."""
        try:
            done = settle()
        except (DatabaseError, InterfaceError) as error:
            return False, f"The database is away: {type(error).__name__}."
        left = [f"{done.left} to be tried again"] if done.left else []
        is_worth_a_line = done.is_change or done.left
        return done.is_change, "; ".join(done.lines() + left) if is_worth_a_line else ""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from shop import intents
from shop.checkout import NothingSold, ask_again
from shop.models import CheckoutIntent, IntentState
from shop.settling import capture, give_up, uncaptured


class Command(BaseCommand):
    help = (
        "Finish payments that were interrupted: ask the bank about unknown ones, "
        "capture those of recorded orders, void those without an order."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="count, and change nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            self._count()
            return
        left = self._ask() + self._void() + self._capture()
        if left:
            raise CommandError(f"{left} could not be settled. Run this again later.")

    def _count(self) -> None:
        self.stdout.write(f"{len(intents.unanswered())} to ask about")
        self.stdout.write(f"{len(intents.orphaned())} to void")
        self.stdout.write(f"{len(uncaptured())} to capture")

    def _ask(self) -> int:
        asked = [_asked(intent) for intent in intents.unanswered()]
        ordered = asked.count(IntentState.ORDERED)
        unknown = asked.count(IntentState.UNKNOWN)
        self.stdout.write(
            f"{len(asked)} asked about: {ordered} ordered, {unknown} still unknown"
        )
        return unknown

    def _void(self) -> int:
        given_up = [give_up(intent) for intent in intents.orphaned()]
        self.stdout.write(f"{given_up.count(True)} voided")
        return given_up.count(False)

    def _capture(self) -> int:
        captured = [capture(payment) for payment in uncaptured()]
        self.stdout.write(f"{captured.count(True)} captured")
        return captured.count(False)


def _asked(intent: CheckoutIntent) -> str:
    if intents.ask_now(intent, wait=timedelta()):
        try:
            return ask_again(intent).state
        except NothingSold:
            pass
    intent.refresh_from_db()
    return intent.state

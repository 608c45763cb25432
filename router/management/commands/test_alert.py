from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from router.management.terminal import add_reason, operator
from router.models import Subscriber
from router.operate.test_alert import send_test_alert


class Command(BaseCommand):
    help = (
        "Publish an alert about a subscriber that is marked as a test, to every "
        "subscriber that gets alerts."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subscriber", help="its name")
        add_reason(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        row = Subscriber.objects.known().filter(name=options["subscriber"]).first()
        if row is None:
            raise CommandError(f"There is no subscriber {options['subscriber']}.")
        sent = send_test_alert(row.pk, **operator(options))
        self.stdout.write(
            f"Test alert #{sent.number} is on its way to those that get alerts."
        )

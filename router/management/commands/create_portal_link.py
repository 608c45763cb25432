from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from router.contract.errors import DoesNotApply
from router.management.terminal import add_reason, operator
from router.models import Subscriber
from router.operate.portal_links import (
    DEFAULT_DAYS,
    MAX_DAYS,
    MAX_LABEL_LENGTH,
    create_portal_link,
    link_address,
)


class Command(BaseCommand):
    help = (
        "Create a link with which the owner of subscribers opens their pages, and "
        "print it alone: it is shown this once, and opens one browser once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="+", metavar="NAME", help="a subscriber")
        parser.add_argument(
            "--label", default="", help="the owner, for staff; left out, the names"
        )
        parser.add_argument(
            "--days",
            type=int,
            default=DEFAULT_DAYS,
            help=f"until it ends, {DEFAULT_DAYS} unless given",
        )
        add_reason(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["days"]
        if not 1 <= days <= MAX_DAYS:
            raise CommandError(f"--days must be from 1 to {MAX_DAYS}.")
        rows = [_subscriber(name) for name in dict.fromkeys(options["names"])]
        label = options["label"].strip() or ", ".join(row.name for row in rows)
        if len(label) > MAX_LABEL_LENGTH:
            raise CommandError(f"--label: at most {MAX_LABEL_LENGTH} characters.")
        try:
            _, token = create_portal_link(
                rows, label=label, days=days, **operator(options)
            )
        except DoesNotApply as error:
            raise CommandError(str(error)) from None
        self.stdout.write(link_address(token))


def _subscriber(name: str) -> Subscriber:
    row = Subscriber.objects.known().filter(name=name).first()
    if row is None:
        raise CommandError(
            f"There is no subscriber named {name!r}; `manage.py status` lists them."
        )
    return row

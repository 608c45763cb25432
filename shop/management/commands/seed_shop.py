from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from shop.models import Product
from shop.seeding import CATALOGUE, CatalogueError, read, seed
from shop.seeding_history import DEFAULT_COUNT, seed_history


class Command(BaseCommand):
    help = (
        "Load the demo catalogue with its first stock into an empty shop; with "
        "--history, last year's orders of made-up customers, which no subscriber hears "
        "of until import_history records them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--catalogue", type=Path, default=CATALOGUE)
        parser.add_argument(
            "--force",
            action="store_true",
            help="also when there are products: correct them, add those that lack",
        )
        parser.add_argument(
            "--history",
            type=int,
            nargs="?",
            const=DEFAULT_COUNT,
            metavar="COUNT",
            help=f"also last year's orders, COUNT or {DEFAULT_COUNT:,} of them; once",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="show what would be done"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(self._catalogue(options))
        if options["history"] is not None:
            self.stdout.write(self._history(options))

    def _catalogue(self, options: dict[str, Any]) -> str:
        present = Product.objects.count()
        if present and not options["force"]:
            return f"The shop has {present} products: nothing to do."
        try:
            catalogue = read(options["catalogue"])
            if options["dry_run"]:
                return f"{len(catalogue['products'])} products would be loaded."
            return f"{seed(catalogue)} products added, with their first stock."
        except CatalogueError as error:
            raise CommandError(str(error)) from None

    def _history(self, options: dict[str, Any]) -> str:
        count = options["history"]
        if count < 1:
            raise CommandError("--history: COUNT must be 1 or more.")
        if options["dry_run"]:
            return f"{count:,} orders of last year would be placed, where none are."
        placed = seed_history(count)
        if not placed:
            return "The shop has its orders of last year: nothing to do."
        return f"{placed:,} orders of last year placed. Nothing was published."

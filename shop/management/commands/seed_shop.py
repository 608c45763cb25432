from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from shop.models import Product
from shop.seeding import CATALOGUE, CatalogueError, read, seed


class Command(BaseCommand):
    help = "Load the demo catalogue with its first stock into an empty shop."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--catalogue", type=Path, default=CATALOGUE)
        parser.add_argument(
            "--force",
            action="store_true",
            help="also when there are products: correct them, add those that lack",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="show what would be done"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        present = Product.objects.count()
        if present and not options["force"]:
            self.stdout.write(f"The shop has {present} products: nothing to do.")
            return
        try:
            catalogue = read(options["catalogue"])
            if options["dry_run"]:
                message = f"{len(catalogue['products'])} products would be loaded."
            else:
                message = f"{seed(catalogue)} products added, with their first stock."
        except CatalogueError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(message)

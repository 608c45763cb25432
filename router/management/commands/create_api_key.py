from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction

from router.models import ApiKey, Scope


class Command(BaseCommand):
    help = "Make an API key, and print it alone: it is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="who will use it")
        parser.add_argument(
            "--scopes",
            required=True,
            metavar="SCOPE,…",
            help=f"what it may do, of: {', '.join(Scope.values)}",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name, scopes = options["name"].strip(), _scopes(options["scopes"])
        longest = ApiKey._meta.get_field("name").max_length or 0
        if not 1 <= len(name) <= longest:
            raise CommandError(f"The name must have 1 to {longest} characters.")
        try:
            with transaction.atomic():
                _, text = ApiKey.make(name, scopes=scopes)
        except IntegrityError:
            told = f"There is a key with the name {name!r} already; choose another."
            raise CommandError(told) from None
        self.stdout.write(text)


def _scopes(text: str) -> list[str]:
    scopes = list(dict.fromkeys(part.strip() for part in text.split(",")))
    unknown = [scope for scope in scopes if scope not in Scope.values]
    if unknown:
        known = ", ".join(Scope.values)
        told = ", ".join(repr(scope) for scope in unknown)
        raise CommandError(f"Unknown scope {told}; known: {known}.")
    return scopes

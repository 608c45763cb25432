from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from router.management.terminal import add_reason, operator
from router.models import ApiKey
from router.operate.api_keys import revoke_key


class Command(BaseCommand):
    help = "Refuse an API key from now on, for good."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the key's name")
        add_reason(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        key = ApiKey.objects.filter(name=options["name"].strip()).first()
        if key is None:
            raise CommandError(f"There is no API key named {options['name']!r}.")
        is_changed = revoke_key(key, **operator(options))
        outcome = "is revoked" if is_changed else "was revoked already; nothing changed"
        self.stdout.write(f"{key} {outcome}.")

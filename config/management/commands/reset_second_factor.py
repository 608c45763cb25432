"""`manage.py reset_second_factor NAME`: for an account that lost its app."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.sign_in.second_factor import reset
from router.management.terminal import add_reason, operator


class Command(BaseCommand):
    help = (
        "Forget the authenticator app and the recovery codes of an account; it sets up "
        "another at its next sign-in. Check first that the owner asks for it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the account's user name")
        add_reason(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["name"]).first()
        if user is None:
            raise CommandError(f"No account has the name {options['name']!r}.")
        is_changed = reset(user, **operator(options))
        outcome = "is reset" if is_changed else "was not set up; nothing changed"
        self.stdout.write(f"The second factor of {user.username} {outcome}.")

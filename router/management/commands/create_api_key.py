from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from router.contract.errors import NameTaken
from router.management.terminal import add_reason, operator
from router.models import ApiKey, Scope
from router.operate.api_keys import BINDINGS, issue_key, patterns_in, reach_warnings

MAX_DAYS = 36_500


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
        for kind in BINDINGS:
            parser.add_argument(
                f"--{kind}",
                default="",
                metavar="PATTERN,…",
                help=f"the only {kind} it is for; a * may end a pattern. With none of "
                "the three the key is for all; with one of them, those left out mean "
                "none, and '*' means all",
            )
        parser.add_argument("--expires-in-days", type=int, metavar="N")
        parser.add_argument("--calls-per-minute", type=int, metavar="N")
        add_reason(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        days, calls = options["expires_in_days"], options["calls_per_minute"]
        _check_range("--expires-in-days", days, MAX_DAYS)
        _check_range("--calls-per-minute", calls, 2**31 - 1)
        try:
            key, text = issue_key(
                _name(options["name"]),
                scopes=_scopes(options["scopes"]),
                **operator(options),
                bindings={kind: _patterns(kind, options[kind]) for kind in BINDINGS},
                expires_in_days=days,
                calls_per_minute=calls,
            )
        except NameTaken as error:
            raise CommandError(str(error)) from None
        for warning in reach_warnings(key):
            self.stderr.write(self.style.WARNING(warning))
        self.stdout.write(text)


def _name(text: str) -> str:
    name = text.strip()
    longest = ApiKey._meta.get_field("name").max_length or 0
    if not 1 <= len(name) <= longest:
        raise CommandError(f"The name must have 1 to {longest} characters.")
    return name


def _scopes(text: str) -> list[str]:
    scopes = list(dict.fromkeys(part.strip() for part in text.split(",")))
    unknown = [scope for scope in scopes if scope not in Scope.values]
    if unknown:
        known = ", ".join(Scope.values)
        names = ", ".join(repr(scope) for scope in unknown)
        raise CommandError(f"Unknown scope {names}; known: {known}.")
    return scopes


def _patterns(kind: str, text: str) -> list[str]:
    try:
        return patterns_in(text)
    except ValueError as error:
        raise CommandError(f"--{kind}: {error}.") from None


def _check_range(option: str, value: int | None, largest: int) -> None:
    if value is not None and not 1 <= value <= largest:
        raise CommandError(f"{option} must be from 1 to {largest:,}.")

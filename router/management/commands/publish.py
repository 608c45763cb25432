from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from router.contract.errors import RouterError
from router.public import publish


class Command(BaseCommand):
    help = "Publish an event, and print its number in the log."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("type", help="such as purchase.completed")
        parser.add_argument(
            "--data",
            default="{}",
            metavar="JSON|@FILE|-",
            help="the data: JSON, @ and a file's name, or - for standard input",
        )
        parser.add_argument("--source", help="who publishes; default: the router")
        parser.add_argument("--subject", default="", help="what the event is about")
        parser.add_argument("--id", help="unique for the source; default: a new one")
        parser.add_argument("--partitionkey", default="", help="the ordering key")

    def handle(self, *args: Any, **options: Any) -> None:
        names = ("source", "subject", "id", "partitionkey")
        try:
            published = publish(
                options["type"],
                _parsed(_text(options["data"])),
                **{name: options[name] for name in names},
            )
        except RouterError as error:
            raise CommandError(f"Nothing was published. {error}") from None
        if not published.is_new:
            self.stderr.write("This event was published before; nothing is new.")
        self.stdout.write(str(published.number))


def _text(given: str) -> str:
    if given == "-":
        return sys.stdin.read()
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--data: can't read {given[1:]}: {error}") from None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"--data is not JSON: {error}") from None

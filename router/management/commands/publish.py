from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from router.contract.data import JSON_TYPE, read
from router.contract.errors import InvalidEvent, RouterError
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
        parser.add_argument(
            "--datacontenttype",
            default=JSON_TYPE,
            help="the data's media type, as text/plain or image/png; default: JSON",
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
                _data(options["data"], options["datacontenttype"]),
                datacontenttype=options["datacontenttype"],
                **{name: options[name] for name in names},
            )
        except RouterError as error:
            raise CommandError(f"Nothing was published. {error}") from None
        if not published.is_new:
            self.stderr.write("This event was published before; nothing is new.")
        self.stdout.write(str(published.number))


def _data(given: str, datacontenttype: str) -> Any:
    try:
        return read(_bytes(given), datacontenttype)
    except InvalidEvent as error:
        pointer, detail = error.problems[0]
        raise CommandError(f"--{pointer[1:]} {detail}") from None


def _bytes(given: str) -> bytes:
    if given == "-":
        # A stand-in for standard input may have text alone.
        stream = getattr(sys.stdin, "buffer", None)
        return stream.read() if stream else sys.stdin.read().encode()
    if not given.startswith("@"):
        return given.encode(errors="surrogateescape")
    try:
        return Path(given[1:]).read_bytes()
    except OSError as error:
        raise CommandError(f"--data: can't read {given[1:]}: {error}") from None

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from rich.text import Text

from router.client import Client, Invalid, Logged, Refused
from router.contract.errors import InvalidEvent
from router.contract.filters import pattern_problem
from router.contract.signing import PREFIX, make_secret
from router.management import terminal
from router.management.listen.following import Following
from router.management.listen.forwarding import Forwarded, Forwarder

KEY, SECRET = "FANFARE_API_KEY", "FANFARE_SIGNING_SECRET"


class Command(BaseCommand):
    help = (
        "Show events of a router as they come, and post each to a local URL as a "
        f"webhook. The API key, which needs the scope manage, stands in {KEY}, the "
        f"signing secret in {SECRET}; without one a new one is shown."
    )
    #: It speaks to a router elsewhere.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "forward_to", nargs="?", metavar="URL", help="post them to it"
        )
        parser.add_argument(
            "--url", default="http://127.0.0.1:8000", help="where the router is"
        )
        parser.add_argument(
            "--key-file", type=Path, metavar="FILE", help=f"in place of {KEY}"
        )
        parser.add_argument(
            "--types", nargs="+", default=["*"], metavar="TYPE", help="such as cart.*"
        )
        parser.add_argument(
            "--replay", type=int, default=0, metavar="N", help="begin with the last N"
        )
        parser.add_argument("--once", action="store_true", help="end after them")
        parser.add_argument(
            "--json", action="store_true", help="whole events, a line each"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.is_json = options["json"]
        if not self.is_json:
            is_plain = options["no_color"]
            self.console = terminal.console(self.stdout, is_plain=is_plain)
        types = _checked_types(options["types"])
        client = _client(options["url"], _key(options["key_file"]))
        forwarder = self._forwarder(options["forward_to"])
        following = Following(log=client.log(), types=types, say=self._say)
        try:
            for logged, origin in following.events(
                replay=max(0, options["replay"]), is_endless=not options["once"]
            ):
                self._show(logged, forwarder, origin)
        except KeyboardInterrupt:
            return
        except Refused as error:
            raise CommandError(_hint(error)) from None

    def _forwarder(self, url: str | None) -> Forwarder | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CommandError(f"URL must be http(s)://host, not {url!r}.")
        secret = os.environ.get(SECRET, "")
        if secret and not secret.startswith(PREFIX):
            raise CommandError(f"{SECRET} must begin with {PREFIX}.")
        if not secret:
            secret = make_secret()
            self._say(f"Signed with {secret}: give it to what listens there.")
        return Forwarder(url=url, secret=secret)

    def _show(self, logged: Logged, forwarder: Forwarder | None, origin: str) -> None:
        line = _line(logged)
        if forwarder is not None:
            line.append_text(_forwarded(logged, forwarder, origin))
        if not self.is_json:
            self.console.print(line, soft_wrap=True)
        else:
            self.stdout.write(json.dumps(asdict(logged), ensure_ascii=False))
            if forwarder is not None:
                self._say(line.plain)
        self.stdout.flush()

    def _say(self, line: str) -> None:
        """Beside the events, which another program may read."""
        self.stderr.write(line)


def _checked_types(patterns: list[str]) -> list[str]:
    for problem in filter(None, map(pattern_problem, patterns)):
        raise CommandError(f"--types: {problem}.")
    return patterns


def _key(path: Path | None) -> str:
    if path is None:
        key = os.environ.get(KEY, "")
    else:
        try:
            key = path.read_text()
        except OSError as error:
            raise CommandError(f"--key-file: {error}") from None
    if not key.strip():
        raise CommandError(
            f"No API key: set {KEY}, or name a file with --key-file. `manage.py "
            "create_api_key NAME --scopes manage` makes one."
        )
    return key.strip()


def _client(url: str, key: str) -> Client:
    try:
        # What lasts longer is shown, and waited for here.
        return Client(url, key, patience_seconds=0)
    except ValueError as error:
        raise CommandError(str(error)) from None


def _hint(error: Refused) -> str:
    if isinstance(error, Invalid):
        return f"{error} Is the router there as new as this one?"
    return f"{error} The key needs the scope manage, and --url the router's address."


def _line(logged: Logged) -> Text:
    at = timezone.localtime(datetime.fromisoformat(logged.recorded_at))
    event = logged.event
    words = [f"{at:%H:%M:%S}", f"#{logged.number}", event["type"]]
    words += [event["subject"]] if "subject" in event else []
    return Text(" ".join(words))


def _forwarded(logged: Logged, forwarder: Forwarder, origin: str) -> Text:
    try:
        answer = forwarder.post(logged, origin=origin)
    except InvalidEvent as error:
        return Text(f" → not posted: {error}", style="yellow")
    style = "green" if answer.is_acknowledged else "red"
    return Text(f" → {' '.join(_words(answer))}", style=style)


def _words(answer: Forwarded) -> Iterator[str]:
    yield "no answer:" if answer.status is None else f"{answer.status}"
    if answer.detail:
        yield answer.detail
    yield f"in {answer.run_ms:.0f} ms"

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.progress import Progress

from router.management.terminal import add_reason, console, operator
from router.operate.erase.erasing import Erased, count, erase, search_for
from router.operate.erase.finding import Search

#: Events that a summary names.
MAX_NAMED = 20
SENT = (
    "What webhooks, pulls, mails and other routers have already sent is not recalled. "
    "Backups age out as you keep them."
)


class Command(BaseCommand):
    help = (
        "Overwrite the personal data of one customer in events, attempts, failed tasks "
        "and the tables of shop and subscribers. Ids, totals and the audit stay. It is "
        "done whole or not at all; run it again after an interruption."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="the customer's mail address; kept nowhere")
        parser.add_argument(
            "--dry-run", action="store_true", help="count what would be overwritten"
        )
        parser.add_argument(
            "--no-input", action="store_true", help="do not ask before it is done"
        )
        add_reason(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        search = search_for(_address(options["email"]))
        self._go_through(search)
        found = count(search)
        for line in _summary(found, "would be overwritten"):
            self.stdout.write(line)
        if options["dry_run"]:
            return
        is_asked = bool(found.rows) and not options["no_input"]
        if is_asked and self._is_refused():
            self.stdout.write("Nothing was changed.")
            return
        done = erase(search, **operator(options))
        for line in _summary(done, "overwritten"):
            self.stdout.write(line)
        self.stdout.write(SENT)

    def _go_through(self, search: Search) -> None:
        with Progress(console=console(self.stderr), transient=True) as progress:
            task = progress.add_task("Searching", total=search.last())
            for number in search.steps():
                progress.update(task, completed=number)

    def _is_refused(self) -> bool:
        answer = input("This can't be undone. Overwrite all of it? [y/N] ")
        return answer.strip().lower() not in ("y", "yes")


def _address(text: str) -> str:
    address = text.strip()
    if "@" not in address.strip("@") or any(map(str.isspace, address)):
        # Without the text: it may be a customer's name.
        raise CommandError("EMAIL is no mail address, such as name@example.com.")
    return address


def _summary(found: Erased, verb: str) -> Iterator[str]:
    if not found.rows:
        yield f"Nothing {verb}: no row has this address."
    for name, number in sorted(found.rows.items()):
        yield f"{number:,} {name} {verb}."
    if found.unmarked:
        named = ", ".join(f"#{each}" for each in found.unmarked[:MAX_NAMED])
        more = ", …" if len(found.unmarked) > MAX_NAMED else ""
        yield (
            f"{len(found.unmarked):,} events have the address and stay as they are: "
            f"{named}{more}. Mark it in a schema of their type "
            '("x-personal": true, "format": "email") and run this again.'
        )

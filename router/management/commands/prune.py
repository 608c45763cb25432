from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterator
from time import sleep
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction
from rich.progress import Progress

from router.conf import MAX_DAYS, conf
from router.flow import audit
from router.flow.prune import Pruned, Walk
from router.management.terminal import add_reason, console, operator
from router.models import Subscriber

#: Subscribers that a summary names.
MAX_HOLDERS = 10
#: What belongs to no single event.
BESIDE = ("acknowledgements", "ingress failed tasks")
WHEN = "%Y-%m-%d %H:%M UTC"
#: SQLite has one writer at a time, which keeps nobody's turn: publishers need a rest.
STEP_SECONDS = {"postgresql": 0.1, "sqlite": 0.05}
REST_SECONDS = {"postgresql": 0.0, "sqlite": 0.05}
#: What the database does with the space of deleted rows.
SPACE = {
    "postgresql": "PostgreSQL uses their space again after its next autovacuum; the "
    "files stay as large as they are.",
    "sqlite": "SQLite uses their space again; the file stays as large as it is.",
}


class Command(BaseCommand):
    help = (
        "Delete events that are older than so many days, with their deliveries, "
        "attempts and settled failed tasks, and ingress failed tasks that were settled "
        "before; never what is owed. It may be stopped at "
        "any moment: run it again to go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=_days,
            metavar="N",
            help="keep what is younger; default: ROUTER['KEEP_EVENTS_DAYS']",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="count what would be deleted"
        )
        add_reason(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["days"] or conf().keep_events_days
        if days is None:
            raise CommandError(
                "Nothing says how long events are kept: give --days N, or set "
                "ROUTER['KEEP_EVENTS_DAYS']."
            )
        is_dry_run = options["dry_run"]
        walk = Walk(
            days, seconds=STEP_SECONDS[connection.vendor], is_dry_run=is_dry_run
        )
        if not is_dry_run:
            _note(walk, options)
        try:
            self._go_through(walk)
        except KeyboardInterrupt:
            self.stdout.write("Stopped. Run it again to go on.")
        for line in _summary(walk, is_dry_run=is_dry_run):
            self.stdout.write(line)

    def _go_through(self, walk: Walk) -> None:
        with Progress(console=console(self.stderr), transient=True) as progress:
            task = progress.add_task("Pruning", total=walk.length)
            while walk.step():
                progress.update(task, completed=walk.looked_at)
                sleep(REST_SECONDS[connection.vendor])


@transaction.atomic
def _note(walk: Walk, options: dict[str, Any]) -> None:
    # At the beginning: a run that is killed has deleted events, too.
    detail = f"events recorded before {walk.before:{WHEN}}"
    audit.note("log.pruned", "the log", detail=detail, **operator(options))


def _days(text: str) -> int:
    try:
        days = int(text)
    except ValueError:
        days = 0
    if not 1 <= days <= MAX_DAYS:
        raise ArgumentTypeError(f"{text!r} is no whole number from 1 to {MAX_DAYS}")
    return days


def _summary(walk: Walk, *, is_dry_run: bool) -> Iterator[str]:
    pruned, rows = walk.pruned, walk.pruned.rows
    verb = "would be deleted" if is_dry_run else "deleted"
    if pruned.first_at and pruned.last_at:
        yield (
            f"{rows['events']:,} events {verb}, recorded from {pruned.first_at:{WHEN}} "
            f"to {pruned.last_at:{WHEN}}; with them {rows['deliveries']:,} deliveries, "
            f"{rows['attempts']:,} attempts and {rows['failed tasks']:,} failed tasks."
        )
        yield SPACE[connection.vendor]
    else:
        yield f"0 events {verb}: none before {walk.before:{WHEN}} may go."
    beside = [f"{rows[name]:,} {name}" for name in BESIDE if rows[name]]
    if beside:
        yield f"{' and '.join(beside)} {verb} beside them."
    if pruned.held_count:
        yield (
            f"{pruned.held_count:,} events are as old and stay: they are owed, or have "
            f"an open failed task. Held by {_holders(pruned)}."
        )


def _holders(pruned: Pruned) -> str:
    names = dict(Subscriber.objects.values_list("pk", "name"))
    held_by = pruned.held_by.most_common(MAX_HOLDERS)
    others = len(pruned.held_by) - len(held_by)
    listed = [f"{names.get(pk, pk)} ({count:,})" for pk, count in held_by]
    return ", ".join([*listed, *([f"{others} more"] if others else [])])

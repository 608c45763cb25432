from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, reset_queries
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from router.conf import conf
from router.contract.errors import DoesNotApply
from router.contract.times import HELP, parse_time
from router.display import counted
from router.management.run_command import A_DAY
from router.management.terminal import add_reason, console, operator
from router.operate.importing import FactsFailed, Import, close_import

#: Between two lines where there is no terminal.
LINE_SECONDS = 10.0
#: SQLite has one writer at a time: publishers need a rest.
REST_SECONDS = {"postgresql": 0.0, "sqlite": 0.05}
AGAIN = (
    "The import is open: runs and subscribers that read it wait at its end. Run this "
    "again to go on, or with --close to leave it at that."
)


class Command(BaseCommand):
    help = (
        "Record the facts from before the router that ROUTER['HISTORY'] names, each "
        "once, however often this runs. Subscribers that exist get none of them: a "
        "backfill or a replay gives them, and a subscriber that begins with all of "
        "history gets them first. It may be stopped at any moment: run it again to go "
        "on. Ends with 1 where facts were refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "types", nargs="*", metavar="TYPE", help="event types; default: all"
        )
        parser.add_argument(
            "--since",
            type=_moment,
            metavar="DATE",
            help="only facts of that day or time, and later",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="count what would be recorded"
        )
        parser.add_argument(
            "--close",
            action="store_true",
            help="import nothing more: end an import that was stopped",
        )
        add_reason(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["close"]:
            self._close(options)
            return
        act = operator(options)
        history = Import(
            types=_types(options["types"]),
            since=options["since"],
            is_dry_run=options["dry_run"],
            by=act["by"],
            reason=act["reason"],
        )
        try:
            _go_through(history, console(self.stderr, is_plain=options["no_color"]))
        except FactsFailed as error:
            raise CommandError(f"{error} {_summary(history)} {AGAIN}") from error
        except KeyboardInterrupt:
            raise CommandError(f"Stopped. {_summary(history)} {AGAIN}") from None
        self.stdout.write(_summary(history))
        if history.refused:
            raise CommandError("\n".join(_refusals(history)))

    def _close(self, options: dict[str, Any]) -> None:
        try:
            close_import(**operator(options))
        except DoesNotApply as error:
            raise CommandError(str(error)) from None
        self.stdout.write("The import is closed: what waited at its end goes on.")


def _types(given: list[str]) -> list[str]:
    known = conf().history
    if not known:
        raise CommandError(
            "ROUTER['HISTORY'] names no facts: docs/history.md has an example."
        )
    unknown = [type_ for type_ in given if type_ not in known]
    if unknown:
        raise CommandError(
            f"ROUTER['HISTORY'] does not name {', '.join(unknown)}. It names "
            f"{', '.join(sorted(known))}."
        )
    return list(dict.fromkeys(given)) or list(known)


def _moment(text: str) -> datetime:
    parsed = parse_time(f"{text}T00:00:00Z" if A_DAY.fullmatch(text) else text)
    if parsed is None:
        raise ArgumentTypeError(f"{HELP}; or a day: 2026-02-03")
    return parsed[0]


def _go_through(history: Import, screen: Console) -> None:
    show = _bar if screen.is_terminal else _lines
    for _ in show(history, screen):
        pass


def _steps(history: Import) -> Iterator[None]:
    """Its steps, each followed by a rest where publishers need it."""
    for _ in history.steps():
        yield
        # In debug Django keeps the statements, and these are long.
        reset_queries()
        sleep(REST_SECONDS[connection.vendor])


def _bar(history: Import, screen: Console) -> Iterator[None]:
    # The facts come in the order of their times: how many there are nobody knows.
    columns = BarColumn(bar_width=20), TextColumn("{task.description}")
    with Progress(
        *columns, TimeRemainingColumn(), console=screen, transient=True
    ) as bar:
        task = bar.add_task("", total=1.0)
        for _ in _steps(history):
            line = _summary(history)
            bar.update(task, completed=_fraction(history), description=line)
            yield


def _lines(history: Import, screen: Console) -> Iterator[None]:
    next_at = monotonic() + LINE_SECONDS
    for _ in _steps(history):
        if monotonic() >= next_at:
            screen.print(
                f"{_fraction(history):.0%} {_summary(history)}", soft_wrap=True
            )
            next_at = monotonic() + LINE_SECONDS
        yield


def _fraction(history: Import) -> float:
    """How much of the time since the first fact lies behind it."""
    if history.first_at is None or history.last_at is None:
        return 0.0
    length = (datetime.now(UTC) - history.first_at).total_seconds()
    done = (history.last_at - history.first_at).total_seconds()
    return min(1.0, max(0.0, done / length)) if length > 0 else 1.0


def _summary(history: Import) -> str:
    verb = "would be recorded" if history.is_dry_run else "recorded"
    refused = f", {history.refused:,} refused" if history.refused else ""
    return (
        f"{counted(history.recorded, 'fact')} {verb}, {history.known:,} were there"
        f"{refused}."
    )


def _refusals(history: Import) -> Iterator[str]:
    yield f"{counted(history.refused, 'fact')} refused:"
    yield from history.refusals
    if (more := history.refused - len(history.refusals)) > 0:
        yield f"… and {more:,} more"
    yield "Correct what gives them, and run this again."

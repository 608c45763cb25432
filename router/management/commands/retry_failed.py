from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from router.contract.errors import DoesNotApply
from router.display import counted
from router.management.terminal import add_reason, console, operator
from router.models import FailedTaskGroup, RampedRetry, RampState, Subscriber
from router.observe.ramp_progress import RampProgress, ramp_progress
from router.operate.ramped_retries import begin_ramped_retry, retryable

REFRESH_SECONDS = 1.0
#: Between two lines where there is no terminal.
LINE_SECONDS = 10.0


class Command(BaseCommand):
    help = (
        "Retry a subscriber's open failed tasks at a ramp: 1, 10, 100, then 1,000 at a "
        "time; it stops by itself when one fails again. It may be left at any "
        "moment: the retry goes on, and the same command shows it again. Ends with 1 "
        "where it was stopped or cancelled."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subscriber", help="its name")
        parser.add_argument(
            "--since", type=moment, metavar="TIME", help="what was opened since, alone"
        )
        parser.add_argument(
            "--cause", type=int, metavar="ID", help="the failed tasks of it alone"
        )
        parser.add_argument("--dry-run", action="store_true", help="show how many")
        parser.add_argument(
            "--no-wait", action="store_true", help="begin it, and do not follow it"
        )
        add_reason(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        subscriber = Subscriber.objects.known().filter(name=options["subscriber"])
        if (row := subscriber.first()) is None:
            raise CommandError(f"There is no subscriber {options['subscriber']}.")
        chosen = {"group": _group(row, options["cause"]), "since": options["since"]}
        retry = _under_way(row, chosen["group"])
        if retry is None:
            count = counted(retryable(row, **chosen).count(), "open failed task")
            self.stdout.write(f"{row.name} has {count} to retry.")
            if options["dry_run"]:
                return
            retry = _begin(row, {**chosen, **operator(options)})
        if not (options["no_wait"] or options["dry_run"]):
            _follow(retry, console(self.stdout, is_plain=options["no_color"]))


def moment(text: str) -> datetime:
    """A time as people type it: `2026-02-03`, or `2026-02-03T04:05Z`; UTC without a
    zone."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(
            f"{text} is no time: write 2026-02-03 or 2026-02-03T04:05:06Z"
        ) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _group(subscriber: Subscriber, cause: int | None) -> FailedTaskGroup | None:
    if cause is None:
        return None
    group = FailedTaskGroup.objects.filter(pk=cause, subscriber=subscriber).first()
    if group is None:
        raise CommandError(f"{subscriber.name} has no cause {cause}.")
    return group


def _under_way(
    subscriber: Subscriber, group: FailedTaskGroup | None
) -> RampedRetry | None:
    rows = RampedRetry.objects.active().filter(subscriber=subscriber, group=group)
    return rows.first()


def _begin(subscriber: Subscriber, options: dict[str, Any]) -> RampedRetry:
    try:
        return begin_ramped_retry(subscriber.pk, **options)
    except DoesNotApply as error:
        raise CommandError(str(error)) from None


def _follow(retry: RampedRetry, out: Console) -> None:
    try:
        last = (_bar if out.is_terminal else _lines)(retry, out)
    except KeyboardInterrupt:
        out.print("The retry goes on. The same command shows it again.")
        return
    out.print(_line(last), soft_wrap=True)
    if last.retry.state != RampState.COMPLETE:
        words = f": {last.failure.words}" if last.failure else ""
        raise CommandError(f"The retry was {last.retry.state}{words}.")


def _seen(retry: RampedRetry) -> Iterator[RampProgress]:
    """How far it is, again and again, until it is over."""
    while True:
        row = RampedRetry.objects.select_related("subscriber").get(pk=retry.pk)
        progress = ramp_progress(row)
        yield progress
        if row.state != RampState.ACTIVE:
            return
        sleep(REFRESH_SECONDS)


def _line(progress: RampProgress) -> str:
    parts = [
        f"{progress.percent} %",
        f"{progress.acknowledged:,} acknowledged",
        f"{progress.failed:,} failed again",
        f"{progress.moving:,} on their way",
        f"{progress.remaining:,} left",
    ]
    held = f" It is held. {progress.held_because}" if progress.held_because else ""
    return f"{', '.join(parts)}.{held}"


def _bar(retry: RampedRetry, out: Console) -> RampProgress:
    columns = (
        BarColumn(bar_width=16),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=out, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=100)
        for progress in _seen(retry):
            left = f"{progress.remaining + progress.moving:,} left"
            percent = progress.percent
            bar.update(task, completed=percent, description=left, refresh=True)
    return progress


def _lines(retry: RampedRetry, out: Console) -> RampProgress:
    next_at = 0.0
    for progress in _seen(retry):
        if progress.retry.state == RampState.ACTIVE and monotonic() >= next_at:
            out.print(_line(progress), soft_wrap=True)
            next_at = monotonic() + LINE_SECONDS
    return progress

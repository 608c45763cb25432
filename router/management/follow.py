"""Shows a backfill or a replay until it is over."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic, sleep

from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from router.management.screens.run import end_line, failed_line, progress_line
from router.models import Run, RunState
from router.observe.run_progress import RunProgress, progress_of

REFRESH_SECONDS = 1.0
#: Between two lines where there is no terminal.
LINE_SECONDS = 10.0


def follow(run: Run, console: Console) -> None:
    """Show it until it is over: a bar on a terminal, a line now and then elsewhere.

    Raises `CommandError` where it was cancelled, or events of it were given up.
    """
    show = _bar if console.is_terminal else _lines
    try:
        last = show(run, console)
    except KeyboardInterrupt:
        console.print(
            f"The {run.kind} goes on. The same command shows it again; "
            f"--pause {run.number} pauses it, --cancel {run.number} cancels it."
        )
        return
    console.print(end_line(last))
    failed = failed_line(last)
    if failed or last.run.state == RunState.CANCELLED:
        raise CommandError(failed or f"The {last.run.kind} was cancelled.")


def _seen(run: Run) -> Iterator[RunProgress]:
    """How far it is, again and again, until it is over."""
    while True:
        run = Run.objects.select_related("subscriber").get(pk=run.pk)
        progress = progress_of(run)
        yield progress
        if not run.is_open:
            return
        sleep(REFRESH_SECONDS)


def _bar(run: Run, console: Console) -> RunProgress:
    columns = (BarColumn(bar_width=20), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=1.0)
        for progress in _seen(run):
            done, line = progress.fraction, progress_line(progress)
            bar.update(task, completed=done, description=line, refresh=True)
    return progress


def _lines(run: Run, console: Console) -> RunProgress:
    state, next_at = "", 0.0
    for progress in _seen(run):
        is_news = progress.run.state != state
        if progress.run.is_open and (is_news or monotonic() >= next_at):
            console.print(progress_line(progress), soft_wrap=True)
            state, next_at = progress.run.state, monotonic() + LINE_SECONDS
    return progress

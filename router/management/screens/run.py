"""A backfill or a replay in lines: what it would do, how far it is, how it ended."""

from __future__ import annotations

from collections.abc import Iterator

from router.contract.digest import digest_text
from router.display import counted, effect_of, exact, first_line, place, seconds
from router.flow.breaker.held import held_because
from router.models import Run, RunState, Subscriber
from router.models.gap import place_name
from router.observe.run_progress import RunProgress
from router.operate.run_preview import RunPreview

#: Event types, and events, that a preview names.
MAX_LISTED = 5


def preview_lines(subscriber: Subscriber, preview: RunPreview) -> Iterator[str]:
    """What the run would do, which events it would give, and how long it takes."""
    yield effect_of(subscriber, preview)
    if not preview.count:
        return
    yield (
        f"Positions {place(preview.plan.start + 1)} to {place(preview.plan.end)}, "
        f"recorded from {exact(preview.first_at)} to {exact(preview.last_at)}."
    )
    types = list(preview.types.items())
    listed = [f"{name} ({count:,})" for name, count in types[:MAX_LISTED]]
    more = [f"{len(types) - MAX_LISTED:,} more"] if len(types) > MAX_LISTED else []
    yield f"Types of the first of them: {', '.join([*listed, *more])}."
    for event in preview.first_events[:MAX_LISTED]:
        yield f"  {place_name(event.position or 0)}  {event}  {event.subject}".rstrip()
    if preview.seconds is not None:
        yield f"It takes about {seconds(preview.seconds)}."


def title_of(run: Run) -> str:
    return f"{run.kind} {run.number} of {run.subscriber.name}"


def progress_line(progress: RunProgress) -> str:
    """How far it is, and what it waits for."""
    run, parts = progress.run, [f"{progress.fraction:.0%}"]
    about = "about " if progress.is_estimate else ""
    parts.append(f"{about}{counted(progress.remaining_events, 'event')} left")
    if progress.rate is not None:
        parts.append(f"{progress.rate:,.1f} a second")
    if progress.remaining_seconds:
        parts.append(f"{seconds(progress.remaining_seconds)} left")
    line = f"{title_of(run)}: {', '.join(parts)}."
    if run.state == RunState.PAUSED:
        return f"{line} It is paused: --resume {run.number} goes on."
    if progress.is_at_gap:
        return f"{line} It waits for the end of the import: import_history."
    held = held_because(run.subscriber)
    return f"{line} {run.subscriber.name} is held. {held}" if held else line


def end_line(progress: RunProgress) -> str:
    """How it ended."""
    run = progress.run
    took = (
        f", after {seconds((run.finished_at - run.created_at).total_seconds())}"
        if run.finished_at
        else ""
    )
    gave = f"{counted(run.count, 'event')}, digest {digest_text(run.digest)}"
    return f"{title_of(run)} is {run.state}{took}: {gave}."


def failed_line(progress: RunProgress) -> str:
    """What was given up of it; empty where nothing was."""
    count = progress.open_failed_tasks
    if not count:
        return ""
    given_up = "1 event was" if count == 1 else f"{count:,} events were"
    return first_line(f"{given_up} given up: see the failed tasks in the admin.")

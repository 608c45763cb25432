"""Subscribers that get nothing at present, and failed tasks that nobody settled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import DatabaseError
from django.db.models import Count, Min
from django.utils import timezone

from router.display import exact, owed
from router.flow.breaker.held import is_asked_to_wait
from router.management.doctor.finding import Finding, Level
from router.management.doctor.page import failed_tasks_page, subscriber_page
from router.management.terminal import age
from router.models import BreakerState, FailedTask, Subscriber, SubscriberState
from router.observe.last_failure import last_failure
from router.observe.overview import SubscriberOverview, subscribers_overview

TITLE = "subscribers"
#: Subscribers with failed tasks that one line names.
MAX_NAMED = 3
MISSING_HINT = (
    "Install its app, or name its module in settings.ROUTER['HANDLERS'], and restart; "
    "or delete it on {page}."
)
SETUP_HINT = "Set it and restart the dispatcher: it resumes by itself. Page: {page}."
RESUME_HINT = "Resume it on {page} when its receiver is ready."
WAIT_HINT = "Its events go on by themselves then. Page: {page}."
OUTAGE_HINT = "Fix the receiver; its events then go on by themselves. Page: {page}."


def examine_subscribers() -> Iterator[Finding]:
    """A warning for each subscriber that is held, and one for open failed tasks."""
    try:
        overviews = subscribers_overview()
        findings = [*filter(None, map(_held, overviews)), *_failed_tasks()]
    except DatabaseError:
        # The findings about the database and its migrations say why.
        return
    yield from findings
    if not findings:
        detail = f"{len(overviews):,}; none is held, and no failed task is open"
        yield Finding(TITLE, Level.OK, detail)


def _held(overview: SubscriberOverview) -> Finding | None:
    subscriber = overview.subscriber
    if overview.is_handler_missing:
        cause, hint = "no code here handles its events", MISSING_HINT
    elif subscriber.state != SubscriberState.ACTIVE:
        cause = _hold(subscriber)
        hint = SETUP_HINT if subscriber.is_held_for_setup else RESUME_HINT
    elif subscriber.breaker == BreakerState.OPEN:
        cause, hint = _outage(subscriber), OUTAGE_HINT
    elif is_asked_to_wait(subscriber):
        cause, hint = "the receiver asked for time (Retry-After)", WAIT_HINT
    else:
        return None
    count = owed(overview)
    held = f"{count} event{'' if count == '1' else 's'} held"
    detail = ". ".join([cause, held, *_next_try(subscriber)])
    hint = hint.format(page=subscriber_page(subscriber))
    return Finding(f"subscriber {subscriber.name}", Level.WARNING, f"{detail}.", hint)


def _hold(subscriber: Subscriber) -> str:
    state = "held for setup" if subscriber.is_held_for_setup else subscriber.state
    return _because(
        f"{state}{_since(subscriber.state_changed_at)}", subscriber.state_reason
    )


def _outage(subscriber: Subscriber) -> str:
    state = subscriber.get_breaker_display().lower()
    return _because(
        f"{state}{_since(subscriber.incident_since)}", last_failure(subscriber)
    )


def _because(state: str, cause: str) -> str:
    return f"{state}: {cause.rstrip('.')}" if cause else state


def _since(moment: datetime | None) -> str:
    if moment is None:
        return ""
    passed = (timezone.now() - moment).total_seconds()
    return f" since {exact(moment)} ({age(passed)})"


def _next_try(subscriber: Subscriber) -> list[str]:
    moments = [subscriber.probe_at, subscriber.not_before]
    next_at = max((moment for moment in moments if moment is not None), default=None)
    if subscriber.state != SubscriberState.ACTIVE or next_at is None:
        return []
    seconds = (next_at - timezone.now()).total_seconds()
    return [f"Next try in {age(seconds)}" if seconds > 0 else "Next try now"]


def _failed_tasks() -> Iterator[Finding]:
    rows = list(
        FailedTask.objects.open()
        .values("subscriber__name")
        .annotate(total=Count("pk"), oldest=Min("opened_at"))
        .order_by("-total", "subscriber__name")
    )
    if not rows:
        return
    named = [f"{row['subscriber__name']} {row['total']:,}" for row in rows[:MAX_NAMED]]
    more = [f"{len(rows) - MAX_NAMED} more"] if len(rows) > MAX_NAMED else []
    oldest = min(row["oldest"] for row in rows)
    detail = (
        f"{sum(row['total'] for row in rows):,} open ({', '.join(named + more)}). "
        f"The oldest{_since(oldest).replace(' since', ' opened')}."
    )
    hint = f"Fix the cause, then retry or discard them on {failed_tasks_page()}."
    yield Finding("failed tasks", Level.WARNING, detail, hint)

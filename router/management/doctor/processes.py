"""The processes that must run beside the web, judged by their heartbeats."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from django.core.management import get_commands
from django.db import DatabaseError

from router.conf import QUEUES
from router.flow.dispatch.queues import queue_of, unserved_queues
from router.flow.heartbeats import alive, served_queues
from router.management.doctor.finding import Finding, judged
from router.models import Heartbeat, SubscriberState, Transport
from router.observe.health import Check, readiness
from router.observe.overview import subscribers_overview

WORKER = "celery -A <project> worker"


def examine_processes() -> Iterator[Finding]:
    for check in readiness():
        if check.name == "dispatcher":
            yield _finding(check, "manage.py dispatch")
        if check.name == "workers":
            yield _workers(check)


def _workers(check: Check) -> Finding:
    """Names the queues that no worker takes from, and the events that wait there."""
    served = served_queues(_seen())
    queues = [] if check.is_ok or not served else unserved_queues(served)
    if not queues:
        return _finding(check, WORKER)
    waiting = _waiting_in(queues, served)
    events = f"{waiting:,} event{'' if waiting == 1 else 's'}"
    detail = f"none takes from {', '.join(queues)}, where {events} wait"
    return _finding(check, f"{WORKER} -Q {','.join(queues)}", detail)


def _finding(check: Check, command: str, detail: str = "") -> Finding:
    hint = f"Start `{command}`{_or_everything()}."
    detail = detail or check.detail.partition(";")[0]
    return judged(check.name, check.is_ok, detail, hint=hint)


def _seen() -> list[Heartbeat]:
    try:
        return list(alive())
    except DatabaseError:
        return []


def _waiting_in(queues: Collection[str], served: Collection[str]) -> int:
    return sum(
        overview.waiting
        for overview in subscribers_overview()
        if overview.subscriber.state == SubscriberState.ACTIVE
        and overview.subscriber.transport != Transport.PULL
        and QUEUES[queue_of(overview.subscriber, served)] in queues
    )


def _or_everything() -> str:
    """Another project need not have the command that starts all programs."""
    has_up = "up" in get_commands()
    return ", or everything with `manage.py up`" if has_up else ""

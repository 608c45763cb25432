"""The first page of the admin: is every event on its way?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from router.conf import conf
from router.display import at_least, since
from router.models import Heartbeat, LogHead
from router.observe.overview import (
    acknowledged_last_minute,
    open_failed_count,
    open_ingress_count,
    subscribers_overview,
    unrouted_count,
)

#: What starts a process of each kind.
COMMANDS = {
    Heartbeat.Kind.DISPATCHER: "manage.py dispatch",
    Heartbeat.Kind.WORKER: "celery -A <project> worker",
}


@dataclass(frozen=True, kw_only=True)
class Sign:
    """One process of the router, or the broker, and whether it runs."""

    name: str
    state: str
    text: str
    beat_at: datetime | None = None


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The index page's context, with the router's numbers if the user may see them."""
    if not request.user.has_perm("router.view_subscriber"):
        return context
    rows = subscribers_overview()
    rates = acknowledged_last_minute()
    unrouted = unrouted_count()
    head = LogHead.objects.first()
    return {
        **context,
        "title": "Dashboard",
        "may_look": True,
        "subscribers": [(row, rates.get(row.subscriber.pk, 0)) for row in rows],
        "unrouted": unrouted,
        "recorded": (head.position if head else 0) + unrouted,
        "owed": at_least(
            sum(row.waiting + row.working for row in rows),
            any(row.has_more_waiting for row in rows),
        ),
        "retrying": sum(row.retrying for row in rows),
        "open_failed": open_failed_count(),
        "open_ingress": open_ingress_count(),
        "signs": signs_of_life(),
    }


def signs_of_life() -> list[Sign]:
    """Dispatcher, workers, and the broker as the dispatcher saw it."""
    beats = list(Heartbeat.objects.order_by("-beat_at")[:100])
    oldest = timezone.now() - timedelta(seconds=conf().stale_after_seconds)
    alive = [beat for beat in beats if beat.beat_at >= oldest]
    return [
        _sign("Dispatcher", Heartbeat.Kind.DISPATCHER, beats, alive),
        _sign("Workers", Heartbeat.Kind.WORKER, beats, alive),
        _broker_sign(alive),
        *(_bridge_sign(name, beats, alive) for name in conf().bridges),
    ]


def _sign(
    name: str, kind: Heartbeat.Kind, beats: list[Heartbeat], alive: list[Heartbeat]
) -> Sign:
    seen = [beat for beat in beats if beat.kind == kind]
    living = sum(beat.kind == kind for beat in alive)
    if living:
        text = f"{living} running"
        return Sign(name=name, state="alive", text=text, beat_at=seen[0].beat_at)
    text = f"None runs. Start `{COMMANDS[kind]}`."
    return Sign(
        name=name, state="silent", text=text, beat_at=seen[0].beat_at if seen else None
    )


def _bridge_sign(name: str, beats: list[Heartbeat], alive: list[Heartbeat]) -> Sign:
    """What the processes of this bridge wrote: connection, rate, lag, last error."""
    own = [beat for beat in beats if beat.details.get("bridge") == name]
    living = [beat for beat in own if beat in alive]
    beat_at = own[0].beat_at if own else None
    if not living:
        text = f"None runs. Start `manage.py bridge {name}`."
        return Sign(name=f"Bridge {name}", state="silent", text=text, beat_at=beat_at)
    is_connected = all(beat.details["is_connected"] for beat in living)
    return Sign(
        name=f"Bridge {name}",
        state="alive" if is_connected else "disconnected",
        text=" · ".join(_bridge_facts(living)),
        beat_at=beat_at,
    )


def _bridge_facts(living: list[Heartbeat]) -> Iterator[str]:
    yield f"{sum(beat.details['per_minute'] for beat in living):,} in the last minute"
    details = living[0].details
    if details["waiting"] is not None:
        yield f"{details['waiting']:,} waiting at {details['from']}"
    failed = [beat.details for beat in living if beat.details.get("failed_at")]
    if failed:
        last = max(failed, key=lambda details: str(details["failed_at"]))
        failed_at = datetime.fromisoformat(last["failed_at"])
        yield f"last error {since(failed_at)}: {last['last_error']}"


def _broker_sign(alive: list[Heartbeat]) -> Sign:
    seen = [beat for beat in alive if beat.is_broker_reachable is not None]
    if not seen:
        text = "Unknown while no dispatcher runs."
        return Sign(name="Broker", state="unknown", text=text)
    if seen[0].is_broker_reachable:
        text = "Reachable from the dispatcher"
        return Sign(name="Broker", state="alive", text=text, beat_at=seen[0].beat_at)
    text = "Not reachable: events wait in the database."
    return Sign(name="Broker", state="disconnected", text=text, beat_at=seen[0].beat_at)

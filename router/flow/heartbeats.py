"""The heartbeats of dispatchers, workers and bridges, in the database."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from router.conf import conf
from router.models import Clock, Heartbeat

#: The dashboard shows the last heartbeat of each kind of process.
KEPT = timedelta(days=1)


def heartbeat_name(kind: str, pid: int | str | None = None) -> str:
    """The name of a process of this host: of process `pid`, or of the caller's."""
    return f"{kind}@{_host()}:{os.getpid() if pid is None else pid}"


#: Each acknowledgement names its worker, and the system takes its time to answer.
_host = cache(socket.gethostname)


def beat(
    name: str,
    kind: Heartbeat.Kind,
    *,
    is_broker_reachable: bool | None = None,
    queues: Collection[str] = (),
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write that this process lives, whether it reaches the broker, its queues, and
    what a bridge has to show."""
    Heartbeat.objects.update_or_create(
        name=name,
        defaults={
            "kind": kind,
            "beat_at": Clock(),
            "is_broker_reachable": is_broker_reachable,
            "queues": sorted(queues),
            "details": dict(details or {}),
            "knows_turns": True,
        },
    )


def remove_heartbeat(name: str) -> None:
    """Delete the heartbeat of a process that stops by itself."""
    Heartbeat.objects.filter(name=name).delete()


def alive() -> list[Heartbeat]:
    """The heartbeats that are not stale, by the database's clock."""
    stale_after = timedelta(seconds=conf().stale_after_seconds)
    beats = Heartbeat.objects.filter(beat_at__gte=Clock() - stale_after)
    return list(beats.order_by("name"))


def is_older_release_alive() -> bool:
    """Whether a worker or dispatcher runs that knows no lease of streamed subscribers.

    A bridge only publishes.
    """
    return any(
        not each.knows_turns and each.kind != Heartbeat.Kind.BRIDGE for each in alive()
    )


def delete_stale() -> None:
    """Delete the heartbeats of processes that were killed a day ago or earlier.

    A name holds host and process number: without this the table grows with each one
    that could not take its sign of life back.
    """
    Heartbeat.objects.filter(beat_at__lt=Clock() - KEPT).delete()


def served_queues(beats: Iterable[Heartbeat]) -> frozenset[str]:
    """The broker's queues that some of these take messages from."""
    return frozenset(queue for beat in beats for queue in beat.queues)

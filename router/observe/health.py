"""Whether the router can work, judged by the database alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from router.conf import conf
from router.flow.dispatch.queues import unserved_queues
from router.flow.heartbeats import alive, served_queues
from router.models import Heartbeat

UNKNOWN = "unknown, since the database does not answer"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One condition of a working router; `detail` has its state and how to fix it."""

    name: str
    is_ok: bool
    detail: str


def readiness() -> list[Check]:
    """database, migrations, broker, dispatcher, workers, in this order."""
    try:
        applied = set(MigrationRecorder(connection).applied_migrations())
    except DatabaseError as error:
        return _nothing_known(error)
    return [
        Check(name="database", is_ok=True, detail="answers"),
        _migrations(applied),
        *_processes(_seen()),
    ]


def _seen() -> list[Heartbeat]:
    try:
        return alive()
    except DatabaseError:
        return []  # The table is not there yet.


def _nothing_known(error: DatabaseError) -> list[Check]:
    detail = f"does not answer: {type(error).__name__}"
    return [
        Check(name="database", is_ok=False, detail=detail),
        *(
            Check(name=name, is_ok=False, detail=UNKNOWN)
            for name in ("migrations", "broker", "dispatcher", "workers")
        ),
    ]


def _migrations(applied: set[tuple[str, str]]) -> Check:
    missing = known_migrations() - applied
    to_apply = f"{len(missing)} not applied; run `manage.py migrate`"
    detail = to_apply if missing else "all applied"
    return Check(name="migrations", is_ok=not missing, detail=detail)


@cache
def known_migrations() -> frozenset[tuple[str, str]]:
    """The migrations of the code: they can't change while the process lives."""
    return frozenset(MigrationLoader(None).graph.nodes)


def _processes(beats: list[Heartbeat]) -> Iterator[Check]:
    dispatchers = [beat for beat in beats if beat.kind == Heartbeat.Kind.DISPATCHER]
    workers = [beat for beat in beats if beat.kind == Heartbeat.Kind.WORKER]
    yield _broker(dispatchers)
    yield _alive("dispatcher", dispatchers, "manage.py dispatch")
    yield _workers(workers)


def _broker(dispatchers: list[Heartbeat]) -> Check:
    is_ok = any(beat.is_broker_reachable for beat in dispatchers)
    if is_ok:
        detail = "reachable"
    elif dispatchers:
        detail = "the dispatcher can't reach it; events wait in the database"
    else:
        detail = "unknown, since no dispatcher runs"
    return Check(name="broker", is_ok=is_ok, detail=detail)


def _alive(name: str, beats: list[Heartbeat], command: str) -> Check:
    seconds = conf().stale_after_seconds
    silent = f"no sign of life for {seconds:g} s; start `{command}`"
    detail = f"{len(beats)} alive" if beats else silent
    return Check(name=name, is_ok=bool(beats), detail=detail)


def _workers(beats: list[Heartbeat]) -> Check:
    check = _alive("workers", beats, "celery -A <project> worker")
    missing = unserved_queues(served_queues(beats)) if beats else []
    if not missing:
        return check
    detail = (
        f"{len(beats)} alive, and none serves {', '.join(missing)}; start "
        f"`celery -A <project> worker -Q {','.join(missing)}`"
    )
    return Check(name="workers", is_ok=False, detail=detail)

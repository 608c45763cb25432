"""What is done to the system: each fault is a function of the `Scene`."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from tests.chaos.cells import TIMES
from tests.chaos.fleet import Fleet
from tests.chaos.foreign import Foreign
from tests.chaos.program import Program
from tests.servers.on_demand import Startable, flush

#: A stopped process continues when another has taken over its work.
PAST_THE_LEASE_SECONDS = TIMES["lease_seconds"] * 1.5
OUTAGE_SECONDS = 1.5
REACHED_SECONDS = 6.0
RESTART_SECONDS = 10.0
START_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The system that faults are done to."""

    fleet: Fleet
    broker: Startable
    #: None: plain Celery has none.
    foreign: Foreign | None
    #: None is SQLite.
    postgresql: Startable | None
    database_url: str
    folder: Path
    random: random.Random

    def choose(self, kind: str) -> Program:
        return self.random.choice(getattr(self.fleet, kind))

    def choose_child(self) -> psutil.Process:
        """A child of a worker. Raises `NotInjected`."""
        children = self.choose("workers").children()
        if not children:
            raise NotInjected("no worker has a child at this moment")
        return self.random.choice(children)


class NotInjected(Exception):
    """The fault did not happen; the message says why."""


Inject = Callable[[Scene], None]


def failpoint(name: str) -> Inject:
    """The process that reaches this point next dies there."""

    def inject(scene: Scene) -> None:
        armed = scene.folder / "armed" / name
        armed.touch()
        deadline = time.monotonic() + REACHED_SECONDS
        while armed.exists():
            if time.monotonic() > deadline:
                armed.unlink(missing_ok=True)
                raise NotInjected("no process came by")
            time.sleep(0.01)

    return inject


def kill(kind: str) -> Inject:
    return lambda scene: scene.choose(kind).server.send(signal.SIGKILL)


def kill_child(scene: Scene) -> None:
    scene.choose_child().kill()


def freeze(kind: str) -> Inject:
    """Stop a process with all its children until its leases have run out."""

    def inject(scene: Scene) -> None:
        server = scene.choose(kind).server
        server.send_all(signal.SIGSTOP)
        time.sleep(PAST_THE_LEASE_SECONDS)
        server.send_all(signal.SIGCONT)

    return inject


def freeze_child(scene: Scene) -> None:
    child = scene.choose_child()
    child.suspend()
    time.sleep(PAST_THE_LEASE_SECONDS)
    # Celery's hard time limit may have killed it meanwhile.
    with contextlib.suppress(psutil.NoSuchProcess):
        child.resume()


def broker_kill(scene: Scene) -> None:
    scene.broker.server.kill()
    time.sleep(OUTAGE_SECONDS)
    _start_again(scene.broker)


def broker_restart(scene: Scene) -> None:
    scene.broker.server.stop()
    _start_again(scene.broker)


def broker_flush(scene: Scene) -> None:
    flush(scene.broker.url)


def broker_freeze(scene: Scene) -> None:
    scene.broker.server.send_all(signal.SIGSTOP)
    time.sleep(OUTAGE_SECONDS * 2)
    scene.broker.server.send_all(signal.SIGCONT)


def foreign_kill(scene: Scene) -> None:
    """What is sent to it while it is frozen dies with it: nothing confirmed that."""
    router = _foreign(scene).router
    router.freeze()
    time.sleep(OUTAGE_SECONDS)
    router.kill()
    router.start()


def foreign_freeze(scene: Scene) -> None:
    router = _foreign(scene).router
    router.freeze()
    time.sleep(OUTAGE_SECONDS * 2)
    router.thaw()


def _foreign(scene: Scene) -> Foreign:
    if scene.foreign is None:
        raise NotInjected("this cell has no foreign router")
    return scene.foreign


def database_sessions(scene: Scene) -> None:
    with psycopg.connect(scene.database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def database_restart(scene: Scene) -> None:
    postgresql = _postgresql(scene)
    postgresql.server.stop(signal.SIGINT)
    _start_again(postgresql)


def database_kill(scene: Scene) -> None:
    postgresql = _postgresql(scene)
    postgresql.server.kill()
    _start_again(postgresql)


def _postgresql(scene: Scene) -> Startable:
    if scene.postgresql is None:
        raise NotInjected("this cell has no PostgreSQL")
    return scene.postgresql


def database_locked(scene: Scene) -> None:
    """Nothing else can write to SQLite for the length of an outage."""
    path = scene.folder / "fanfare.sqlite3"
    with contextlib.closing(sqlite3.connect(path, timeout=20)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(OUTAGE_SECONDS)
        connection.rollback()


def _start_again(server: Startable) -> None:
    """A PostgreSQL refuses to start while children of the killed one still end."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server.start()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def rolling(number: signal.Signals, *kinds: str) -> Inject:
    """A release: one process after the other is asked to stop."""

    def inject(scene: Scene) -> None:
        for kind in kinds:
            for program in getattr(scene.fleet, kind):
                _renew(program, number)

    return inject


def _renew(program: Program, number: signal.Signals) -> None:
    before, deadline = program.server, time.monotonic() + RESTART_SECONDS
    before.send(number)
    while program.server is before:
        if time.monotonic() > deadline:
            before.send(signal.SIGKILL)
        time.sleep(0.05)

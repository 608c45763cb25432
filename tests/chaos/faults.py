"""What is done to the system: each fault by name, with what it hits."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.chaos.cells import TIMES
from tests.chaos.fleet import Fleet
from tests.chaos.program import Program
from tests.chaos.servers import (
    Startable,
    flush,
    freeze,
    hold_lock,
    start_again,
    terminate_sessions,
)
from tests.chaos.servers import kill as kill_server
from tests.chaos.servers import stop as stop_server

#: A stopped process wakes when its work is another's.
PAST_THE_LEASE_SECONDS = TIMES["lease_seconds"] * 1.5
OUTAGE_SECONDS = 1.5
REACHED_SECONDS = 6.0
RESTART_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The system that faults are done to."""

    fleet: Fleet
    broker: Startable
    #: None is SQLite.
    postgresql: Startable | None
    database_url: str
    folder: Path
    random: random.Random

    def one_of(self, programs: Sequence[Program]) -> Program:
        return self.random.choice(programs)


class NotInjected(Exception):
    """Nobody came by; the fault did not happen."""


Inject = Callable[[Scene], None]


def failpoint(name: str) -> Inject:
    """Whoever reaches this point next dies there."""

    def inject(scene: Scene) -> None:
        armed = scene.folder / "armed" / name
        armed.touch()
        deadline = time.monotonic() + REACHED_SECONDS
        while armed.exists():
            if time.monotonic() > deadline:
                armed.unlink(missing_ok=True)
                raise NotInjected(name)
            time.sleep(0.01)

    return inject


def kill(kind: str) -> Inject:
    def inject(scene: Scene) -> None:
        scene.one_of(getattr(scene.fleet, kind)).send(signal.SIGKILL)

    return inject


def kill_child(scene: Scene) -> None:
    _a_child(scene).kill()


def freeze_some(kind: str) -> Inject:
    """Stopped with all its children, and woken past the lease."""

    def inject(scene: Scene) -> None:
        program = scene.one_of(getattr(scene.fleet, kind))
        program.send_all(signal.SIGSTOP)
        time.sleep(PAST_THE_LEASE_SECONDS)
        program.send_all(signal.SIGCONT)

    return inject


def freeze_child(scene: Scene) -> None:
    child = _a_child(scene)
    child.suspend()
    time.sleep(PAST_THE_LEASE_SECONDS)
    # Celery's hard time limit may have killed it meanwhile.
    with contextlib.suppress(psutil.NoSuchProcess):
        child.resume()


def _a_child(scene: Scene) -> psutil.Process:
    children = scene.one_of(scene.fleet.workers).children()
    if not children:
        raise NotInjected("no child at this moment")
    return scene.random.choice(children)


def broker_kill(scene: Scene) -> None:
    kill_server(scene.broker)
    time.sleep(OUTAGE_SECONDS)
    start_again(scene.broker)


def broker_restart(scene: Scene) -> None:
    stop_server(scene.broker)
    start_again(scene.broker)


def broker_flush(scene: Scene) -> None:
    flush(scene.broker)


def broker_freeze(scene: Scene) -> None:
    freeze(scene.broker, OUTAGE_SECONDS * 2)


def database_sessions(scene: Scene) -> None:
    terminate_sessions(scene.database_url)


def database_restart(scene: Scene) -> None:
    postgresql = _postgresql(scene)
    postgresql.server.stop(signal.SIGINT)
    start_again(postgresql)


def database_kill(scene: Scene) -> None:
    postgresql = _postgresql(scene)
    postgresql.server.kill()
    start_again(postgresql)


def _postgresql(scene: Scene) -> Startable:
    if scene.postgresql is None:
        raise NotInjected("no PostgreSQL in this cell")
    return scene.postgresql


def database_locked(scene: Scene) -> None:
    hold_lock(scene.folder / "fanfare.sqlite3", OUTAGE_SECONDS)


def rolling(number: signal.Signals, kinds: Sequence[str]) -> Inject:
    """A release: one process after the other."""

    def inject(scene: Scene) -> None:
        for kind in kinds:
            for program in getattr(scene.fleet, kind):
                _renew(program, number)

    return inject


def _renew(program: Program, number: signal.Signals) -> None:
    before, deadline = program.pid, time.monotonic() + RESTART_SECONDS
    program.send(number)
    while program.pid == before:
        if time.monotonic() > deadline:
            program.send(signal.SIGKILL)
        time.sleep(0.05)

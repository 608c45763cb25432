"""One cell from its empty database to its verdict."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.chaos import fleet
from tests.chaos.cells import ROUTER, Cell
from tests.chaos.faults import NotInjected, Scene
from tests.chaos.figures import Window
from tests.chaos.foreign import Foreign
from tests.chaos.leftovers import left_in
from tests.chaos.plan import Fault, Hits, plan
from tests.servers.on_demand import Servers, Startable
from tests.servers.waiting import wait_until

FIRST_EFFECT_SECONDS = 60.0
#: Quick or not → the shortest and the longest pause between two faults, in seconds.
PAUSES = {True: (0.2, 0.6), False: (0.8, 2.0)}
#: Quick or not → seconds at the end for what is open, of plain Celery and the router,
#: which needs them only on a machine that has little time for it.
WAITS = {True: (8.0, 240.0), False: (20.0, 300.0)}


#: Faults that a checkout itself meets.
OWN = (Hits.PUBLISHER, Hits.DATABASE)


@dataclass(frozen=True, kw_only=True)
class Injected:
    fault: Fault
    window: Window
    did_happen: bool


@dataclass(frozen=True)
class Run:
    """What a cell left behind."""

    cell: Cell
    folder: Path
    injected: list[Injected]
    #: What the database holds at the end.
    collected: dict[str, Any]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The options of the command line."""

    seed: int
    is_quick: bool
    folder: Path
    print: Callable[[str], None]


def run(cell: Cell, servers: Servers, choice: Choice) -> Run:
    began_at = time.monotonic()
    folder = _fresh(choice.folder / ("naive" if cell.is_naive else "") / cell.name)
    broker = servers.broker(cell.broker)
    foreign = None if cell.is_naive else Foreign(servers.foreign_rabbitmq())
    with _database(cell, servers) as url:
        environment = fleet.environment_of(
            cell, folder, DATABASE_URL=url, BROKER_URL=broker.url, **_settings(foreign)
        )
        fleet.manage(environment, "migrate", "--run-syncdb", "--verbosity=0")
        if not cell.is_naive:
            fleet.manage(environment, "chaos_prepare")
        with fleet.running(cell, folder, environment) as processes:
            scene = Scene(
                fleet=processes,
                broker=broker,
                foreign=foreign,
                postgresql=servers.postgresql() if url else None,
                database_url=url,
                folder=folder,
                random=random.Random(f"{choice.seed} {cell.name} targets"),
            )
            injected = _break(scene, choice)
            collected = _collect(cell, environment, broker, choice)
    if foreign is not None:
        # The bridges have ended, and what they took without acknowledgement is back.
        collected |= foreign.collected()
    (folder / "collected.json").write_text(json.dumps(collected))
    return Run(cell, folder, injected, collected, time.monotonic() - began_at)


@contextmanager
def _database(cell: Cell, servers: Servers) -> Iterator[str]:
    """The URL of an empty database; "" is SQLite in the cell's own folder."""
    if cell.database == "sqlite":
        yield ""
    else:
        with servers.database() as url:
            yield url


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "armed").mkdir(parents=True)
    return folder


def _break(scene: Scene, choice: Choice) -> list[Injected]:
    """Everything works, then nothing is left in peace, then the shop closes."""
    scene.fleet.open_shop()
    outside = scene.folder / "outside.jsonl"
    wait_until(outside.exists, FIRST_EFFECT_SECONDS)
    pauses = PAUSES[choice.is_quick]
    injected = []
    for fault in plan(scene.fleet.cell, seed=choice.seed, is_quick=choice.is_quick):
        time.sleep(scene.random.uniform(*pauses))
        injected.append(_inject(fault, scene, choice))
    time.sleep(max(pauses))
    scene.fleet.close_shop()
    return injected


def _inject(fault: Fault, scene: Scene, choice: Choice) -> Injected:
    began_at, did_happen = time.time(), True
    try:
        fault.inject(scene)
    except (NotInjected, psutil.NoSuchProcess) as error:
        did_happen = False
        choice.print(f"({fault.name} did not happen: {error})")
    else:
        choice.print(fault.name)
    window = Window(began_at=began_at, ended_at=time.time())
    return Injected(fault=fault, window=window, did_happen=did_happen)


def own_windows(injected: Iterable[Injected]) -> list[Window]:
    return [each.window for each in injected if each.fault.hits in OWN]


def _collect(
    cell: Cell, environment: Mapping[str, str], broker: Startable, choice: Choice
) -> dict[str, Any]:
    naive, router = WAITS[choice.is_quick]
    wait = naive if cell.is_naive else router
    output = fleet.manage(environment, "chaos_collect", f"--wait={wait}")
    collected: dict[str, Any] = json.loads(output)
    if cell.is_naive:
        collected["open"] = [list(pair) for pair in left_in(broker.url)]
    return collected


def _settings(foreign: Foreign | None) -> dict[str, str]:
    if foreign is None:
        return {"ROUTER": json.dumps(ROUTER)}
    router = {**ROUTER, "bridges": foreign.bridges}
    return {"ROUTER": json.dumps(router), "CHAOS_BUS": json.dumps(foreign.target)}

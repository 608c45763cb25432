"""One cell from its empty database to its verdict."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.env import BASE_DIR
from tests.chaos import fleet
from tests.chaos.cells import ROUTER, Cell
from tests.chaos.faults import Scene
from tests.chaos.injecting import Injected, inject_all
from tests.chaos.leftovers import left_in
from tests.chaos.plan import plan
from tests.chaos.servers import Servers, Startable
from tests.servers.waiting import wait_until

FIRST_EFFECT_SECONDS = 60.0
#: Quick or not → seconds between two faults: least, most.
PAUSES = {True: (0.2, 0.6), False: (0.8, 2.0)}
#: Quick or not → seconds at the end for what is open; plain Celery and the router.
PATIENCE = {True: (8.0, 60.0), False: (20.0, 120.0)}


@dataclass(frozen=True, kw_only=True)
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
    """What the command line said."""

    seed: int
    is_quick: bool
    folder: Path
    tell: Callable[[str], None]


def run(cell: Cell, servers: Servers, choice: Choice) -> Run:
    began_at = time.monotonic()
    folder = _fresh(choice.folder / ("naive" if cell.is_naive else "") / cell.name)
    broker = servers.broker(cell.broker)
    with servers.database(cell.database) as url:
        environment = fleet.environment_of(
            cell, folder, DATABASE_URL=url, BROKER_URL=broker.url, ROUTER=ROUTER
        )
        _manage(environment, "migrate", "--run-syncdb", "--verbosity=0")
        if not cell.is_naive:
            _manage(environment, "chaos_prepare")
        postgresql = servers.postgresql() if url else None
        with fleet.running(cell, folder, environment) as processes:
            scene = Scene(
                fleet=processes,
                broker=broker,
                postgresql=postgresql,
                database_url=url,
                folder=folder,
                random=random.Random(f"{choice.seed} {cell.name} targets"),
            )
            injected = _break(scene, choice)
            collected = _collect(cell, environment, broker, choice)
    seconds = time.monotonic() - began_at
    return Run(
        cell=cell,
        folder=folder,
        injected=injected,
        collected=collected,
        seconds=seconds,
    )


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "armed").mkdir(parents=True)
    return folder


def _break(scene: Scene, choice: Choice) -> list[Injected]:
    """Everything works, then nothing is left in peace, then the shop closes."""
    scene.fleet.open_shop()
    outside = scene.folder / "outside.jsonl"
    wait_until(outside.exists, FIRST_EFFECT_SECONDS)
    least, most = PAUSES[choice.is_quick]
    faults = plan(scene.fleet.cell, seed=choice.seed, is_quick=choice.is_quick)
    injected = list(
        inject_all(
            faults,
            scene,
            pause=lambda: scene.random.uniform(least, most),
            tell=choice.tell,
        )
    )
    time.sleep(most)
    scene.fleet.close_shop()
    return injected


def _collect(
    cell: Cell, environment: Mapping[str, str], broker: Startable, choice: Choice
) -> dict[str, Any]:
    naive, router = PATIENCE[choice.is_quick]
    wait = naive if cell.is_naive else router
    told = _manage(environment, "chaos_collect", f"--wait={wait}")
    collected: dict[str, Any] = json.loads(told)
    if cell.is_naive:
        collected["open"] = [list(pair) for pair in left_in(broker.url)]
    (Path(environment["CHAOS_DIR"]) / "collected.json").write_text(told)
    return collected


def _manage(environment: Mapping[str, str], *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=BASE_DIR,
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout

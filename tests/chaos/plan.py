"""Which faults a cell gets, in which order: the seed alone decides."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass
from enum import StrEnum

from tests.chaos import faults
from tests.chaos.cells import Cell


class Hits(StrEnum):
    PUBLISHER = "publisher"
    DISPATCHER = "dispatcher"
    WORKER = "worker"
    WEB = "web"
    PULLER = "puller"
    BRIDGE = "bridge"
    FOREIGN_ROUTER = "foreign router"
    BROKER = "broker"
    DATABASE = "database"
    ALL = "all"


@dataclass(frozen=True)
class Fault:
    name: str
    hits: Hits
    inject: faults.Inject
    is_quick: bool = True
    #: Needs children of a worker, of which the pool `threads` has none.
    needs_children: bool = False
    #: None: with every database.
    database: str | None = None


#: Kinds of processes; a `Fleet` has a list of each, named by the plural.
PROCESSES = (
    Hits.PUBLISHER,
    Hits.DISPATCHER,
    Hits.WORKER,
    Hits.WEB,
    Hits.PULLER,
    Hits.BRIDGE,
)
#: What plain Celery does not have.
ROUTERS_ALONE = (
    Hits.DISPATCHER,
    Hits.WEB,
    Hits.PULLER,
    Hits.BRIDGE,
    Hits.FOREIGN_ROUTER,
)


def _failpoint(name: str, hits: Hits) -> Fault:
    return Fault(f"die {name}", hits, faults.failpoint(name))


ALL: tuple[Fault, ...] = (
    _failpoint("publisher-after-commit", Hits.PUBLISHER),
    _failpoint("dispatcher-after-routing", Hits.DISPATCHER),
    _failpoint("dispatcher-after-mark", Hits.DISPATCHER),
    _failpoint("worker-after-claim", Hits.WORKER),
    _failpoint("worker-before-commit", Hits.WORKER),
    _failpoint("worker-after-commit", Hits.WORKER),
    _failpoint("worker-before-ack", Hits.WORKER),
    _failpoint("bridge-before-commit", Hits.BRIDGE),
    _failpoint("bridge-before-ack", Hits.BRIDGE),
    *(Fault(f"kill {hits}", hits, faults.kill(f"{hits}s")) for hits in PROCESSES),
    Fault("kill worker child", Hits.WORKER, faults.kill_child, needs_children=True),
    *(
        Fault(
            f"freeze {hits}",
            hits,
            faults.freeze(f"{hits}s"),
            is_quick=hits in (Hits.WORKER, Hits.BRIDGE),
        )
        for hits in PROCESSES
    ),
    Fault(
        "freeze worker child",
        Hits.WORKER,
        faults.freeze_child,
        needs_children=True,
        is_quick=False,
    ),
    Fault("kill foreign router", Hits.FOREIGN_ROUTER, faults.foreign_kill),
    Fault("freeze foreign router", Hits.FOREIGN_ROUTER, faults.foreign_freeze),
    Fault("kill broker", Hits.BROKER, faults.broker_kill),
    Fault("flush broker", Hits.BROKER, faults.broker_flush),
    Fault("freeze broker", Hits.BROKER, faults.broker_freeze),
    Fault("restart broker", Hits.BROKER, faults.broker_restart, is_quick=False),
    Fault(
        "end database sessions",
        Hits.DATABASE,
        faults.database_sessions,
        database="postgresql",
    ),
    Fault(
        "restart database",
        Hits.DATABASE,
        faults.database_restart,
        is_quick=False,
        database="postgresql",
    ),
    Fault("kill database", Hits.DATABASE, faults.database_kill, database="postgresql"),
    Fault("lock database", Hits.DATABASE, faults.database_locked, database="sqlite"),
    Fault(
        "roll all, warm",
        Hits.ALL,
        faults.rolling(signal.SIGTERM, "publishers", "dispatchers", "workers"),
        is_quick=False,
    ),
    Fault(
        "roll workers, cold",
        Hits.WORKER,
        faults.rolling(signal.SIGQUIT, "workers"),
        is_quick=False,
    ),
)


def plan(cell: Cell, *, seed: int, is_quick: bool) -> list[Fault]:
    """Each fault that this cell can have, once; the naive column has the same."""
    chosen = [
        fault
        for fault in ALL
        if (fault.is_quick or not is_quick)
        and fault.database in (None, cell.database)
        and not (fault.needs_children and cell.pool == "threads")
    ]
    random.Random(f"{seed} {cell.name}").shuffle(chosen)
    if not cell.is_naive:
        return chosen
    return [fault for fault in chosen if fault.hits not in ROUTERS_ALONE]

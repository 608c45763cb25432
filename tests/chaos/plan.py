"""Which faults a cell gets, in which order: a matter of the seed alone."""

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
    BROKER = "broker"
    DATABASE = "database"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Fault:
    name: str
    hits: Hits
    inject: faults.Inject
    is_quick: bool = True
    #: Needs children of a worker, of which the pool `threads` has none.
    needs_children: bool = False
    #: None: with every database.
    database: str | None = None


#: What plain Celery does not have.
ROUTERS_ALONE = (Hits.DISPATCHER, Hits.WEB, Hits.PULLER)


def _failpoint(name: str, hits: Hits) -> Fault:
    return Fault(name=f"die {name}", hits=hits, inject=faults.failpoint(name))


ALL: tuple[Fault, ...] = (
    _failpoint("publisher-after-commit", Hits.PUBLISHER),
    _failpoint("dispatcher-after-routing", Hits.DISPATCHER),
    _failpoint("dispatcher-after-mark", Hits.DISPATCHER),
    _failpoint("worker-after-claim", Hits.WORKER),
    _failpoint("worker-before-commit", Hits.WORKER),
    _failpoint("worker-after-commit", Hits.WORKER),
    _failpoint("worker-before-ack", Hits.WORKER),
    Fault(name="kill publisher", hits=Hits.PUBLISHER, inject=faults.kill("publishers")),
    Fault(
        name="kill dispatcher", hits=Hits.DISPATCHER, inject=faults.kill("dispatchers")
    ),
    Fault(name="kill worker", hits=Hits.WORKER, inject=faults.kill("workers")),
    Fault(
        name="kill worker child",
        hits=Hits.WORKER,
        inject=faults.kill_child,
        needs_children=True,
    ),
    Fault(
        name="freeze publisher",
        hits=Hits.PUBLISHER,
        inject=faults.freeze_some("publishers"),
        is_quick=False,
    ),
    Fault(
        name="freeze dispatcher",
        hits=Hits.DISPATCHER,
        inject=faults.freeze_some("dispatchers"),
        is_quick=False,
    ),
    Fault(name="freeze worker", hits=Hits.WORKER, inject=faults.freeze_some("workers")),
    Fault(
        name="freeze worker child",
        hits=Hits.WORKER,
        inject=faults.freeze_child,
        needs_children=True,
        is_quick=False,
    ),
    Fault(name="kill web", hits=Hits.WEB, inject=faults.kill("webs")),
    Fault(
        name="freeze web",
        hits=Hits.WEB,
        inject=faults.freeze_some("webs"),
        is_quick=False,
    ),
    Fault(name="kill puller", hits=Hits.PULLER, inject=faults.kill("pullers")),
    Fault(
        name="freeze puller",
        hits=Hits.PULLER,
        inject=faults.freeze_some("pullers"),
        is_quick=False,
    ),
    Fault(name="kill broker", hits=Hits.BROKER, inject=faults.broker_kill),
    Fault(name="flush broker", hits=Hits.BROKER, inject=faults.broker_flush),
    Fault(name="freeze broker", hits=Hits.BROKER, inject=faults.broker_freeze),
    Fault(
        name="restart broker",
        hits=Hits.BROKER,
        inject=faults.broker_restart,
        is_quick=False,
    ),
    Fault(
        name="end database sessions",
        hits=Hits.DATABASE,
        inject=faults.database_sessions,
        database="postgresql",
    ),
    Fault(
        name="restart database",
        hits=Hits.DATABASE,
        inject=faults.database_restart,
        is_quick=False,
        database="postgresql",
    ),
    Fault(
        name="kill database",
        hits=Hits.DATABASE,
        inject=faults.database_kill,
        database="postgresql",
    ),
    Fault(
        name="lock database",
        hits=Hits.DATABASE,
        inject=faults.database_locked,
        database="sqlite",
    ),
    Fault(
        name="roll all, warm",
        hits=Hits.ALL,
        inject=faults.rolling(signal.SIGTERM, ("publishers", "dispatchers", "workers")),
        is_quick=False,
    ),
    Fault(
        name="roll workers, cold",
        hits=Hits.WORKER,
        inject=faults.rolling(signal.SIGQUIT, ("workers",)),
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

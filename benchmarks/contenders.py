"""Who is measured: how each is started, and where its books say what is done."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

PUBLISHER = "publisher"
#: What every Celery worker here is told.
QUIET = "--without-gossip --without-mingle --loglevel WARNING"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The processes of a run, and what the handlers do."""

    broker: str = "redis"
    pool: str = "solo"
    handler: str = "noop"
    workers: int = 2
    dispatchers: int = 1
    subscribers: int = 5
    prefetch: int = 4
    #: The subscriber that hangs; -1 is none of them.
    hanging: int = -1
    is_timed: bool = False
    #: Webhooks: how many endpoints an event goes to, all of them the receiver's.
    endpoints: int = 0
    receiver: str = ""
    #: Posts that an endpoint may have under way at once; None is the router's default.
    in_flight: int | None = None
    #: The queues of these workers, and a worker beside them for each of the others.
    queues: str = ""
    other_queues: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.broker}-{self.pool}-{self.handler}"

    def but(self, **changes: object) -> Setup:
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Books:
    """SQL about deliveries (or whatever a contestant calls them)."""

    #: One row: whether anything is still to be done.
    is_open: str
    #: One row: count, first and last time since the epoch, of what is done after %s.
    #: "": what is done is forgotten there, and the worker's own count tells.
    done: str = ""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    name: str
    title: str
    #: The module beneath `contestants`.
    module: str
    settings: str = ""
    #: None: it keeps no books.
    books: Books | None = None
    #: The Celery application; "" is a worker of its own.
    celery: str = ""
    queues: str = ""
    #: What Python runs beside the workers; empty: nothing.
    dispatcher: tuple[str, ...] = ()
    #: From `benchmarks/requirements.txt`, in a virtual environment of its own.
    is_peer: bool = False
    #: From `benchmarks/package.json`, beside them.
    needs_node: bool = False
    batch: int | None = None

    def python(self, peers: Path | None) -> str:
        """The interpreter that has its packages."""
        return str(peers) if self.is_peer else sys.executable

    @property
    def keeps_books(self) -> bool:
        """Whether its database tells what is done; else its workers' own count does."""
        return self.books is not None and bool(self.books.done)

    def uses_broker(self) -> bool:
        return bool(self.celery)


def worker_argv(one: Contestant, setup: Setup, name: str, python: str) -> list[str]:
    if not one.celery:
        return [python, "-m", "benchmarks.program", one.module, "work"]
    command = [python, "-m", "celery", "-A", one.celery, "--quiet", "worker"]
    named = setup.queues or one.queues
    queues = ["-Q", named] if named else []
    pool = f"--pool {setup.pool} -n {name}@%h {QUIET}"
    size = [] if setup.pool == "solo" else ["--concurrency", str(setup.workers)]
    return [*command, *queues, *pool.split(), *size]


def worker_count(one: Contestant, setup: Setup) -> int:
    """Prefork has its processes within one worker."""
    is_pool = bool(one.celery) and setup.pool != "solo"
    return 1 if is_pool else setup.workers


def _books(table: str, at: str, is_done: str, is_open: str) -> Books:
    epoch = "extract(epoch FROM {}({}))::float"
    return Books(
        done=f"SELECT count(*), {epoch.format('min', at)}, {epoch.format('max', at)}"
        f" FROM {table} WHERE {is_done} AND {at} > to_timestamp(%s)",
        is_open=f"SELECT {is_open}",
    )


FANFARE = Contestant(
    name="fanfare",
    title="Fanfare",
    module="fanfare",
    settings="benchmarks.project.settings",
    books=_books(
        "router_delivery",
        "acknowledged_at",
        "state = 'ACKNOWLEDGED'",
        "EXISTS (SELECT FROM router_eventrecord WHERE position IS NULL)"
        " OR EXISTS (SELECT FROM router_delivery WHERE state = 'PENDING')"
        " OR EXISTS (SELECT FROM router_delivery WHERE state = 'LEASED')",
    ),
    celery="config",
    queues="router.default,router.slow",
    dispatcher=("manage.py", "dispatch"),
)
WEBHOOKS = replace(
    FANFARE, name="fanfare_webhooks", title="Fanfare", queues="router.webhooks"
)
INSERT = replace(FANFARE, name="insert", title="one INSERT by hand", module="insert")
BY_HAND = replace(
    FANFARE,
    name="by_hand",
    title="the same commits by hand",
    module="by_hand",
    celery="benchmarks.adapters.by_hand_app",
    queues="",
    dispatcher=("-m", "benchmarks.program", "by_hand", "relay"),
)
BARE = Contestant(
    name="bare_celery",
    title="bare Celery",
    module="bare_celery",
    celery="benchmarks.adapters.bare_celery",
)
NAIVE = Contestant(
    name="naive",
    title="naive Django + Celery",
    module="naive",
    settings="benchmarks.adapters.naive_settings",
    books=_books(
        "bench_naivedelivery",
        "done_at",
        "state = 'DONE'",
        "EXISTS (SELECT FROM bench_naivedelivery WHERE state <> 'DONE')",
    ),
    celery="benchmarks.adapters.naive_app",
)
REQUESTS = replace(
    NAIVE,
    name="threads_requests",
    title="Celery threads + requests",
    module="threads_requests",
)
PROCRASTINATE = Contestant(
    name="procrastinate",
    title="procrastinate",
    module="procrastinate",
    settings="benchmarks.adapters.peer_settings",
    books=_books(
        "procrastinate_events",
        "at",
        "type = 'succeeded'",
        "EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))",
    ),
    is_peer=True,
)
PGQUEUER = Contestant(
    name="pgqueuer",
    title="pgqueuer",
    module="pgqueuer",
    settings="benchmarks.adapters.peer_settings",
    books=_books(
        "pgqueuer_log",
        "created",
        "status = 'successful'",
        "EXISTS (SELECT FROM pgqueuer)",
    ),
    is_peer=True,
)
PGQUEUER_BATCH = replace(
    PGQUEUER, name="pgqueuer_batch", title="pgqueuer, batch 200", batch=200
)
GRAPHILE = Contestant(
    name="graphile_worker",
    title="graphile-worker (Node.js)",
    module="graphile",
    settings="benchmarks.adapters.peer_settings",
    books=Books(
        is_open="SELECT EXISTS (SELECT FROM graphile_worker._private_jobs)",
    ),
    is_peer=True,
    needs_node=True,
)
OURS: tuple[Contestant, ...] = (FANFARE, NAIVE, BARE)
PEERS: tuple[Contestant, ...] = (PROCRASTINATE, PGQUEUER, PGQUEUER_BATCH, GRAPHILE)
WITH_ORDERS: tuple[Contestant, ...] = (
    FANFARE,
    INSERT,
    NAIVE,
    PROCRASTINATE,
    PGQUEUER,
)

TITLES = {one.name: one.title for one in (*OURS, INSERT, BY_HAND, REQUESTS, *PEERS)}

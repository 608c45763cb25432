"""The contenders: how each is started, and how its database says what is done."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

PUBLISHER = "publisher"
#: Options of every Celery worker.
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
    #: Subscribers beside these, that want none of the events.
    uninterested: int = 0
    #: The subscriber whose handler hangs; -1 is none.
    hanging: int = -1
    is_timed: bool = False
    #: Webhooks: how many endpoints get each event, all of them at the receiver.
    endpoints: int = 0
    receiver: str = ""
    #: The `in_flight_limit` of an endpoint; None is the router's default.
    in_flight: int | None = None
    #: JSON: transport and target of a subscriber at a foreign router.
    target: str = ""
    #: JSON: settings of the router; "" is its defaults.
    router: str = ""
    #: The queues of these workers, and a worker beside them for each of the others.
    queues: str = ""
    other_queues: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.broker}-{self.pool}-{self.handler}"

    def variables(self) -> dict[str, str]:
        """The environment variables by which processes know their setup."""
        return {
            "BENCH_HANDLER": self.handler,
            "BENCH_SUBSCRIBERS": str(self.subscribers),
            "BENCH_UNINTERESTED": str(self.uninterested),
            "BENCH_HANGING": str(self.hanging),
            "BENCH_ENDPOINTS": str(self.endpoints),
            "BENCH_IN_FLIGHT": str(self.in_flight or ""),
            "BENCH_RECEIVER": self.receiver,
            "BENCH_TARGET": self.target,
            **({"ROUTER": self.router} if self.router else {}),
            "BENCH_IS_TIMED": "1" if self.is_timed else "",
            "BENCH_PREFETCH": str(self.prefetch),
            "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8" if self.receiver else "",
        }

    def but(self, **changes: object) -> Setup:
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Statements:
    """SQL about the deliveries, tasks or jobs of a contender."""

    #: One row: whether any is still to be done.
    is_open: str
    #: One row: count, first and last time since the epoch, of those done after %s.
    #: "": the database forgets what is done, and the workers' own count counts.
    done: str = ""
    #: One row: whether the dispatcher works; "": there is none to wait for.
    has_dispatcher: str = ""


@dataclass(frozen=True, kw_only=True)
class Contender:
    name: str
    title: str
    #: The module in `adapters`.
    module: str
    settings: str = ""
    #: `router.testing` says what is done.
    is_router: bool = False
    #: None: it has no database, or is the router.
    statements: Statements | None = None
    #: The Celery application; "" is a worker of its own.
    celery: str = ""
    queues: str = ""
    #: Arguments of Python for what runs beside the workers; empty: nothing.
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
    def remembers(self) -> bool:
        """Whether its database remembers what is done; else the workers count it."""
        return self.is_router or bool(self.statements and self.statements.done)

    def uses_broker(self) -> bool:
        return bool(self.celery)


def worker_argv(
    contender: Contender, setup: Setup, name: str, python: str
) -> list[str]:
    if not contender.celery:
        return [python, "-m", "benchmarks.program", contender.module, "work"]
    command = [python, "-m", "celery", "-A", contender.celery, "--quiet", "worker"]
    named = setup.queues or contender.queues
    queues = ["-Q", named] if named else []
    pool = f"--pool {setup.pool} -n {name}@%h {QUIET}"
    size = [] if setup.pool == "solo" else ["--concurrency", str(setup.workers)]
    return [*command, *queues, *pool.split(), *size]


def worker_count(contender: Contender, setup: Setup) -> int:
    """Prefork has its processes within one worker."""
    is_pool = bool(contender.celery) and setup.pool != "solo"
    return 1 if is_pool else setup.workers


def _statements(
    table: str, at: str, is_done: str, is_open: str, has_dispatcher: str = ""
) -> Statements:
    epoch = "extract(epoch FROM {}({}))::float"
    return Statements(
        done=f"SELECT count(*), {epoch.format('min', at)}, {epoch.format('max', at)}"
        f" FROM {table} WHERE {is_done} AND {at} > to_timestamp(%s)",
        is_open=f"SELECT {is_open}",
        has_dispatcher=has_dispatcher,
    )


FANFARE = Contender(
    name="fanfare",
    title="Fanfare",
    module="fanfare",
    settings="benchmarks.project.settings",
    is_router=True,
    celery="config",
    queues="router.default,router.slow",
    dispatcher=("manage.py", "dispatch"),
)
WEBHOOKS = replace(
    FANFARE, name="fanfare_webhooks", title="Fanfare", queues="router.webhooks"
)
BY_HAND = Contender(
    name="by_hand",
    title="the same commits by hand",
    module="by_hand",
    settings="benchmarks.adapters.naive_settings",
    statements=_statements(
        "by_hand_delivery",
        "acknowledged_at",
        "state = 'ACKNOWLEDGED'",
        "EXISTS (SELECT FROM by_hand_event WHERE position IS NULL)"
        " OR EXISTS (SELECT FROM by_hand_delivery WHERE state = 'PENDING')"
        " OR EXISTS (SELECT FROM by_hand_delivery WHERE state = 'LEASED')",
        "SELECT EXISTS (SELECT FROM by_hand_relay)",
    ),
    celery="benchmarks.adapters.by_hand_app",
    dispatcher=("-m", "benchmarks.program", "by_hand", "relay"),
)
INSERT = replace(BY_HAND, name="insert", title="one INSERT by hand", module="insert")
BARE = Contender(
    name="bare_celery",
    title="bare Celery",
    module="bare_celery",
    celery="benchmarks.adapters.bare_celery",
)
NAIVE = Contender(
    name="naive",
    title="naive Django + Celery",
    module="naive",
    settings="benchmarks.adapters.naive_settings",
    statements=_statements(
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
PROCRASTINATE = Contender(
    name="procrastinate",
    title="procrastinate",
    module="procrastinate",
    settings="benchmarks.adapters.peer_settings",
    statements=_statements(
        "procrastinate_events",
        "at",
        "type = 'succeeded'",
        "EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))",
    ),
    is_peer=True,
)
PGQUEUER = Contender(
    name="pgqueuer",
    title="pgqueuer",
    module="pgqueuer",
    settings="benchmarks.adapters.peer_settings",
    statements=_statements(
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
GRAPHILE = Contender(
    name="graphile_worker",
    title="graphile-worker (Node.js)",
    module="graphile",
    settings="benchmarks.adapters.peer_settings",
    statements=Statements(
        is_open="SELECT EXISTS (SELECT FROM graphile_worker._private_jobs)",
    ),
    is_peer=True,
    needs_node=True,
)
OURS: tuple[Contender, ...] = (FANFARE, NAIVE, BARE)
PEERS: tuple[Contender, ...] = (PROCRASTINATE, PGQUEUER, PGQUEUER_BATCH, GRAPHILE)
WITH_ORDERS: tuple[Contender, ...] = (
    FANFARE,
    INSERT,
    NAIVE,
    PROCRASTINATE,
    PGQUEUER,
)

TITLES = {
    contender.name: contender.title
    for contender in (*OURS, INSERT, BY_HAND, REQUESTS, *PEERS)
}

"""One run of `make bench`: the servers, the contestants' empty databases, the sizes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from benchmarks.contenders import Contestant, Setup
from benchmarks.processes import run_to_end
from benchmarks.sizes import Sizes
from tests.servers.on_demand import Servers, Startable
from tests.servers.postgresql import database_of_its_own

#: `Servers` knows Redis by the name of the server that is started.
SERVER_OF = {"redis": "valkey", "rabbitmq": "rabbitmq"}


@dataclass
class Bench:
    """What every figure needs; made once."""

    servers: Servers
    stack: ExitStack
    sizes: Sizes
    folder: Path
    #: The Python of the peers' virtual environment; None does without them.
    peers: Path | None
    #: Where the peers of Node.js are installed; None does without them.
    node_modules: Path | None
    tell: Callable[[str], None]
    #: Names of the cells of throughput to show; none is all.
    cells: Sequence[str] = ()
    #: Figures that others need again: (contestant, cell) → deliveries a second.
    capacity: dict[tuple[str, str], float] = field(default_factory=dict)
    #: Cell → the prefetch at which bare Celery was fastest.
    prefetch: dict[str, int] = field(default_factory=dict)
    _templates: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def shows(self, cell: str) -> bool:
        return not self.cells or cell in self.cells

    def present(self, contestants: Iterable[Contestant]) -> list[Contestant]:
        """Without the peers where there are none."""
        return [one for one in contestants if self._is_present(one)]

    def _is_present(self, one: Contestant) -> bool:
        has_node = bool(self.node_modules) or not one.needs_node
        return has_node and (bool(self.peers) or not one.is_peer)

    def broker(self, name: str) -> Startable:
        return self.servers.broker(SERVER_OF[name])

    def postgresql_version(self) -> str:
        with psycopg.connect(self.servers.postgresql().url) as connection:
            row = connection.execute("SHOW server_version").fetchone()
        return str(row[0]) if row else ""

    def new_folder(self) -> Path:
        """Empty; the one of the run before is gone."""
        number = next(self._numbers)
        shutil.rmtree(self.folder / f"run-{number - 1}", ignore_errors=True)
        made = self.folder / f"run-{number}"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        return made

    @contextmanager
    def database(self, one: Contestant, *, template: str = "") -> Iterator[str]:
        """The URL of a database with the contestant's tables; "" needs none.

        They are empty, or a copy of those of the database named `template`.
        """
        if not one.settings:
            yield ""
            return
        server = self.servers.postgresql()
        copied = template or self._template(one)
        with database_of_its_own(server.url, template=copied) as url:
            yield url

    def _template(self, one: Contestant) -> str:
        """Made once for each contestant: migrations take seconds."""
        if one.module not in self._templates:
            server = self.servers.postgresql()
            url = self.stack.enter_context(database_of_its_own(server.url))
            self.tell(f"preparing the tables of {one.title}")
            run_to_end(
                [one.python(self.peers), "-m", "benchmarks.program"]
                + [one.module, "prepare"],
                environment(
                    one,
                    Setup(subscribers=0),
                    self.new_folder(),
                    database_url=url,
                    broker_url="memory://",
                    node_modules=self.node_modules,
                ),
            )
            self._templates[one.module] = self.name_of(url)
        return self._templates[one.module]

    @staticmethod
    def name_of(url: str) -> str:
        return urlsplit(url).path.lstrip("/")


def environment(
    one: Contestant,
    setup: Setup,
    folder: Path,
    *,
    database_url: str,
    broker_url: str,
    node_modules: Path | None,
) -> dict[str, str]:
    """What every process of a run is told."""
    return {
        "DJANGO_SETTINGS_MODULE": one.settings,
        "DEBUG": "true",
        "VAR_DIR": str(folder),
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "BENCH_MODULE": one.module,
        "BENCH_DIR": str(folder),
        "BENCH_HANDLER": setup.handler,
        "BENCH_SUBSCRIBERS": str(setup.subscribers),
        "BENCH_HANGING": str(setup.hanging),
        "BENCH_ENDPOINTS": str(setup.endpoints),
        "BENCH_IN_FLIGHT": str(setup.in_flight or ""),
        "BENCH_RECEIVER": setup.receiver,
        "BENCH_IS_TIMED": "1" if setup.is_timed else "",
        "BENCH_PREFETCH": str(setup.prefetch),
        "BENCH_BATCH": str(one.batch or ""),
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8" if setup.receiver else "",
        "NODE_PATH": str(node_modules or ""),
        "PYTHONDEVMODE": "",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        **_libpq(database_url),
    }


def _libpq(url: str) -> dict[str, str]:
    """The same address for those that don't know our settings."""
    if not url:
        return {}
    parts = urlsplit(url)
    given = parse_qs(parts.query)
    told = {
        "PGHOST": parts.hostname or given.get("host", [""])[0],
        "PGPORT": str(parts.port or ""),
        "PGUSER": parts.username or "",
        "PGPASSWORD": parts.password or "",
        "PGDATABASE": parts.path.lstrip("/"),
    }
    return {name: value for name, value in told.items() if value}

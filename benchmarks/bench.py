"""What every figure needs: servers, empty databases, sizes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeVar

from psycopg.conninfo import conninfo_to_dict

from benchmarks.contenders import Contender, Setup
from benchmarks.processes import Process
from benchmarks.progress import first_row
from benchmarks.sizes import Sizes
from tests.servers.node import node_program
from tests.servers.on_demand import Servers, Startable

#: The broker of a setup → the server that is started.
SERVER_OF = {"redis": "valkey", "rabbitmq": "rabbitmq"}
CaseT = TypeVar("CaseT", bound=Hashable)
PREPARE_SECONDS = 120.0
#: Variable of libpq → the part of an address that it has.
LIBPQ = {
    "PGHOST": "host",
    "PGPORT": "port",
    "PGUSER": "user",
    "PGPASSWORD": "password",
    "PGDATABASE": "dbname",
}


@dataclass
class Bench:
    """Made once; every figure gets it."""

    servers: Servers
    sizes: Sizes
    folder: Path
    #: The Python of the peers' virtual environment; None does without them.
    peers: Path | None
    #: Where the peers of Node.js are installed; None does without them.
    node_modules: Path | None
    log: Callable[[str], None]
    #: Names of the cells of throughput to show; none is all.
    cells: Sequence[str] = ()
    #: Figures that others need: (contender, cell) → deliveries a second.
    capacity: dict[tuple[str, str], float] = field(default_factory=dict)
    #: Cell → the prefetch at which bare Celery was fastest.
    prefetch: dict[str, int] = field(default_factory=dict)
    _templates: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def in_turn(self, cases: Mapping[CaseT, str]) -> Iterator[CaseT]:
        """Each case, round by round; the log shows its title."""
        for number in range(self.sizes.rounds):
            for case, title in cases.items():
                self.log(f"round {number + 1}: {title}")
                yield case

    def shows(self, cell: str) -> bool:
        return not self.cells or cell in self.cells

    def present(self, contenders: Iterable[Contender]) -> list[Contender]:
        """Those whose packages are here."""
        return [
            contender
            for contender in contenders
            if (self.node_modules or not contender.needs_node)
            and (self.peers or not contender.is_peer)
        ]

    def broker(self, name: str) -> Startable:
        return self.servers.broker(SERVER_OF[name])

    def postgresql_version(self) -> str:
        return str(first_row(self.servers.postgresql().url, "SHOW server_version")[0])

    def new_folder(self) -> Path:
        """An empty folder; the one of the run before is deleted."""
        number = next(self._numbers)
        shutil.rmtree(self.folder / f"run-{number - 1}", ignore_errors=True)
        folder = self.folder / f"run-{number}"
        folder.mkdir(parents=True)
        return folder

    @contextmanager
    def database(self, contender: Contender, *, template: str = "") -> Iterator[str]:
        """The URL of a database with the contender's tables; "" where it needs none.

        They are empty, or a copy of those of the database named `template`.
        """
        if not contender.settings:
            yield ""
            return
        copied = template or self._template(contender)
        with self.servers.database(template=copied) as url:
            yield url

    def _template(self, contender: Contender) -> str:
        """Made once for each contender: migrations take seconds."""
        if contender.module not in self._templates:
            url = self.servers.enter_context(self.servers.database())
            self.log(f"preparing the tables of {contender.title}")
            self._prepare(contender, url)
            self._templates[contender.module] = database_name(url)
        return self._templates[contender.module]

    def _prepare(self, contender: Contender, url: str) -> None:
        folder = self.new_folder()
        process = Process(
            "preparation",
            [contender.python(self.peers), "-m", "benchmarks.program"]
            + [contender.module, "prepare"],
            environment(
                contender,
                Setup(subscribers=0),
                folder,
                database_url=url,
                broker_url="memory://",
                node_modules=self.node_modules,
            ),
            folder / "prepare.log",
        )
        process.wait(PREPARE_SECONDS)
        process.has_succeeded()


def database_name(url: str) -> str:
    return str(conninfo_to_dict(url)["dbname"])


def environment(
    contender: Contender,
    setup: Setup,
    folder: Path,
    *,
    database_url: str,
    broker_url: str,
    node_modules: Path | None,
) -> dict[str, str]:
    """The environment of every process of a run."""
    address = conninfo_to_dict(database_url)
    return {
        "DJANGO_SETTINGS_MODULE": contender.settings,
        "DEBUG": "true",
        "VAR_DIR": str(folder),
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "BENCH_MODULE": contender.module,
        "BENCH_DIR": str(folder),
        **setup.variables(),
        "BENCH_BATCH": str(contender.batch or ""),
        "NODE_PATH": str(node_modules or ""),
        "BENCH_NODE": node_program() if node_modules else "",
        "PYTHONDEVMODE": "",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        # The same address for programs that do not know our settings.
        **{
            name: str(address[part])
            for name, part in LIBPQ.items()
            if address.get(part)
        },
    }

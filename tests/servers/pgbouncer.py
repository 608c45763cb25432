"""A private PgBouncer on a free port, before a PostgreSQL of the tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

import psycopg

from tests.servers.debian import install
from tests.servers.postgresql import UNPRIVILEGED
from tests.servers.server import Server
from tests.servers.unavailable import Unavailable
from tests.servers.waiting import free_port, wait_until

#: Where Debian has the programs of servers; not in everybody's PATH.
SYSTEM_PROGRAMS = "/usr/sbin"
#: Fewer sessions than clients: each client meets the session of another.
POOL_SIZE = 3


class PgBouncer:
    """A pooler in transaction mode: each transaction may get another session."""

    def __init__(self, folder: Path, postgresql_url: str, role: str) -> None:
        self.port = free_port()
        self.role = role
        # It refuses to run as root.
        user = UNPRIVILEGED if os.geteuid() == 0 else None
        [host] = parse_qs(urlsplit(postgresql_url).query)["host"]
        config = folder / "pgbouncer.ini"
        config.write_text(self._config(host))
        if user is not None:
            shutil.chown(folder, user)
        self.server = Server(
            [pgbouncer_program(), "--quiet", str(config)],
            folder / "pgbouncer.log",
            user,
        )
        wait_until(self.answers)

    def url(self, database: str) -> str:
        """The address of that database, through the pooler."""
        return f"postgresql://{self.role}@127.0.0.1:{self.port}/{database}"

    def answers(self) -> bool:
        self.server.check_runs()
        try:
            psycopg.connect(self.url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _config(self, host: str) -> str:
        return (
            "[databases]\n"
            f"* = host={host} user={self.role}\n"
            "[pgbouncer]\n"
            "pool_mode = transaction\n"
            "listen_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\n"
            "unix_socket_dir =\n"
            "auth_type = any\n"
            f"default_pool_size = {POOL_SIZE}\n"
        )


def pgbouncer_program() -> str:
    """The pooler's program, installed first where it is missing.

    Raises `Unavailable`.
    """
    if _find() is None:
        install("pgbouncer")
    program = _find()
    if program is None:
        raise Unavailable("pgbouncer is not here; install its Debian package")
    return program


def _find() -> str | None:
    path = os.pathsep.join([os.environ.get("PATH", ""), SYSTEM_PROGRAMS])
    return shutil.which("pgbouncer", path=path)


@contextmanager
def pgbouncer(postgresql_url: str, role: str) -> Iterator[PgBouncer]:
    """A pooler that logs in to that PostgreSQL as `role`, whoever asks it."""
    with TemporaryDirectory(
        prefix="fanfare-pgbouncer-", ignore_cleanup_errors=True
    ) as folder:
        running = PgBouncer(Path(folder), postgresql_url, role)
        try:
            yield running
        finally:
            running.server.stop()

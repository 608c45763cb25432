"""PHP with SQLite, for the services that others write in PHP."""

from __future__ import annotations

import subprocess

from tests.servers.debian import install, program
from tests.servers.unavailable import Unavailable

PACKAGES = "php-cli php-sqlite3"


def php_program() -> str:
    """The path of PHP. Raises `Unavailable`."""
    path = program("php", package=PACKAGES)
    if not _has_sqlite(path):
        install(PACKAGES)
    if not _has_sqlite(path):
        raise Unavailable(f"PHP has no pdo_sqlite; install Debian's {PACKAGES}")
    return path


def _has_sqlite(path: str) -> bool:
    done = subprocess.run([path, "-m"], capture_output=True, text=True, check=True)
    return "pdo_sqlite" in done.stdout.split()

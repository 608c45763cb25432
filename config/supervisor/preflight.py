"""Checks before the start: each says in one line why `up` cannot start."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.utils import Error
from kombu import Connection
from kombu.exceptions import OperationalError

from config.env import BASE_DIR
from config.supervisor import valkey
from router.db.reachability import first_line, remedy, why

BROKER_PATIENCE_SECONDS = 3


class CannotStart(Exception):
    """The message is one line: what is wrong and what to do."""


@contextlib.contextmanager
def only_one(var_dir: Path) -> Iterator[None]:
    """Hold `var_dir` for this supervisor alone. Raises `CannotStart`."""
    with _lock_file(var_dir) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            raise CannotStart(
                f"Fanfare already runs on {var_dir} (process {owner}): stop it first, "
                "or set VAR_DIR and PORT for a second one."
            ) from None
        os.truncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield


def make_private(var_dir: Path) -> list[str]:
    """Take all rights from other accounts, in what existed before too.

    Returns a line for each thing that belongs to another account and stays open to
    others. Raises `CannotStart` for a folder that holds more than Fanfare's state.
    """
    is_shared = var_dir.stat().st_mode & stat.S_ISVTX
    is_home = str(var_dir) == os.path.expanduser("~")
    if is_shared or is_home or BASE_DIR.is_relative_to(var_dir):
        raise CannotStart(
            f"{var_dir} holds more than the state of Fanfare, which is closed to other "
            "accounts: set VAR_DIR to a folder of its own."
        )
    return [
        f"{path} is open to other accounts: {error.strerror}"
        for path in (var_dir, *var_dir.rglob("*"))
        if (error := _close(path)) is not None
    ]


def _close(path: Path) -> OSError | None:
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & 0o077:
            path.chmod(stat.S_IMODE(mode) & 0o700)
    except FileNotFoundError:
        return None
    except OSError as error:
        return error
    return None


@contextlib.contextmanager
def _lock_file(var_dir: Path) -> Iterator[int]:
    try:
        var_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=var_dir):
            pass
        lock = os.open(var_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CannotStart(
            f"{var_dir} cannot be written to ({error.strerror}): make it writable, or "
            "set VAR_DIR to a folder that is."
        ) from None
    try:
        yield lock
    finally:
        os.close(lock)


def check_port(address: str, port: int) -> None:
    """The web process can listen there, or `CannotStart`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise CannotStart(
                f"Port {port} on {address} cannot be used ({error.strerror}): stop "
                f"what listens there, or choose another: PORT={port + 1000} make run."
            ) from None


def check_database() -> None:
    """The database answers, or `CannotStart`; its password is never shown."""
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        connection.ensure_connection()
    except Error as error:
        wanted = connection.settings_dict
        place = f"{wanted['NAME']} at {wanted['HOST'] or 'its socket'}"
        if connection.vendor == "sqlite":
            place = str(wanted["NAME"])
        raise CannotStart(
            f"The database {place} cannot be reached ({why(error)}). {remedy(error)}"
        ) from None


def check_broker(url: str) -> None:
    """The given broker answers, or `CannotStart`; its password is never shown."""
    with Connection(url, connect_timeout=BROKER_PATIENCE_SECONDS) as connection:
        try:
            connection.ensure_connection(
                max_retries=1,
                timeout=BROKER_PATIENCE_SECONDS,
                reraise_as_library_errors=True,
            )
        except (OperationalError, OSError) as error:
            raise CannotStart(
                f"The broker {connection.as_uri()} cannot be reached "
                f"({first_line(error, secret=connection.password)}): start it, or fix "
                "BROKER_URL."
            ) from None


def embedded_broker(place: Path) -> str:
    """The program that serves as embedded broker, ready to start, or `CannotStart`."""
    server = valkey.binary()
    if server is None:
        raise CannotStart(
            "There is no embedded Valkey for this platform: install valkey-server or "
            "redis-server, or set BROKER_URL to a Redis that runs."
        )
    try:
        valkey.prepare(place)
    except OSError as error:
        raise CannotStart(
            f"{place.parent} cannot hold the broker's socket ({error.strerror}): make "
            "it writable for you alone."
        ) from None
    if place.exists():
        raise CannotStart(
            f"Another broker still listens on {place}: stop that process first."
        )
    return server

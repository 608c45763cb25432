"""What is checked and prepared before the start.

Each check says in one line why `up` cannot start, and what to do.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.utils import Error
from kombu import Connection
from kombu.exceptions import OperationalError

from config.env import BASE_DIR, embedded_broker_socket
from config.second_terminal import database_place
from config.sign_in.demo_login import create_demo_logins
from config.supervisor.output import print_line
from config.supervisor.processes import Program, valkey
from config.supervisor.readiness import valkey_answers
from config.supervisor.valkey_binary import valkey_binary
from router.db.reachability import first_line, remedy, why
from router.messaging.kinds import broker_problems

BROKER_TIMEOUT_SECONDS = 3


class CannotStart(Exception):
    """The message is one line: what is wrong and what to do."""


@contextlib.contextmanager
def only_one(var_dir: Path) -> Iterator[None]:
    """Hold `var_dir` for this supervisor alone. Raises `CannotStart`."""
    try:
        var_dir.mkdir(parents=True, exist_ok=True)
        lock = (var_dir / "up.lock").open("a+")
    except OSError as error:
        raise CannotStart(
            f"{var_dir} cannot be written to ({error.strerror}): make it writable, or "
            "set VAR_DIR to a folder that is."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotStart(
                f"Fanfare already runs on {var_dir} (process {lock.read()}): stop it "
                "first, or set VAR_DIR and PORT for a second one."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def make_private(var_dir: Path) -> list[str]:
    """Take all rights from other accounts, in what existed before too.

    Returns a line for each thing that belongs to another account and stays open to
    others. Raises `CannotStart` for a folder that holds more than Fanfare's state.
    """
    is_shared = var_dir.stat().st_mode & stat.S_ISVTX
    if is_shared or var_dir == Path.home() or BASE_DIR.is_relative_to(var_dir):
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
        raise CannotStart(
            f"The database {database_place()} cannot be reached ({why(error)}). "
            f"{remedy(error)}"
        ) from None


def broker(url: str, var_dir: Path) -> Program | None:
    """The embedded broker, ready to start, where no other is given.

    Raises `CannotStart` where the given broker does not answer, or none can start.
    """
    if url:
        check_broker(url)
        return None
    return embedded_broker(embedded_broker_socket(var_dir))


def check_broker(url: str) -> None:
    """The given broker is one that works, and answers, or `CannotStart`.

    Its password is never shown.
    """
    for problem, hint in broker_problems(url):
        raise CannotStart(f"{problem} {hint}")
    with Connection(url, connect_timeout=BROKER_TIMEOUT_SECONDS) as connection:
        try:
            connection.ensure_connection(
                max_retries=1,
                timeout=BROKER_TIMEOUT_SECONDS,
                reraise_as_library_errors=True,
            )
        except (OperationalError, OSError) as error:
            raise CannotStart(
                f"The broker {connection.as_uri()} cannot be reached "
                f"({first_line(error, secret=connection.password)}): start it, or fix "
                "BROKER_URL."
            ) from None


def embedded_broker(place: Path) -> Program:
    """A Valkey that will listen on the socket `place`, or `CannotStart`."""
    binary = valkey_binary()
    if binary is None:
        raise CannotStart(
            "There is no embedded Valkey for this platform: install valkey-server or "
            "redis-server, or set BROKER_URL to a Redis that runs."
        )
    _make_room_for(place)
    return valkey(binary, place)


def _make_room_for(place: Path) -> None:
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Beneath /tmp another account could have made a folder of this name before.
        if place.parent.stat().st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it belongs to another account")
    except OSError as error:
        raise CannotStart(
            f"{place.parent} cannot hold the broker's socket ({error.strerror}): set "
            "VAR_DIR to a folder with a shorter path."
        ) from None
    if valkey_answers(place):
        raise CannotStart(
            f"Another broker still listens on {place}: stop that process first."
        )
    # What a server that was killed has left.
    place.unlink(missing_ok=True)


def prepare() -> None:
    """Make what must be there before anything starts: tables, files, a catalogue."""
    print_line("up", "preparing the database")
    call_command("migrate", interactive=False, verbosity=0)
    # WhiteNoise wants the folder to be there, also where it stays empty.
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    if not settings.DEBUG:
        call_command("collectstatic", interactive=False, verbosity=0)
    if apps.is_installed("shop"):
        _seed_shop()
    if settings.DEBUG:
        create_demo_logins()
    connections.close_all()


def _seed_shop() -> None:
    if apps.get_model("shop", "Product").objects.exists():
        return
    output = StringIO()
    # Interrupted half-way it must look as if it had never begun.
    with transaction.atomic():
        call_command("seed_shop", stdout=output)
    print_line("up", output.getvalue().strip())

"""What `manage.py up` uses, for the commands of a second terminal.

A second terminal may lack the variables of the first. Its commands then take the
choices of `var/local.env` that the running `up` has taken, and warn when they look at
another database or broker.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings

from config.env import BASE_DIR, local_choices

#: Of this code, wherever VAR_DIR is: one file for each `up` that runs, which holds a
#: lock on it for as long.
FOLDER = BASE_DIR / "var" / "running"
#: They stay, or start what stays: what outlives `up` has an environment of its own.
SERVICES = {"up", "runserver", "testserver", "dispatch", "bridge", "settle_payments"}
#: They use nothing that `up` uses, or give a warning of their own.
UNCONCERNED = {"up", "help", "version", "--version", "--help", "-h", "test"}


@contextmanager
def recorded() -> Iterator[None]:
    """Commands of the same account can read meanwhile what this process uses."""
    path = FOLDER / f"{os.getpid()}.json"
    file = None
    # Without a record, where the code's folder can't be written to, `up` runs as well.
    with suppress(OSError):
        FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        os.write(file, json.dumps({**places(), "choices": _choices()}).encode())
    try:
        yield
    finally:
        if file is not None:
            path.unlink(missing_ok=True)
            os.close(file)


def places() -> dict[str, str]:
    """Where the database and the broker are, without a login."""
    return {"database": database_place(), "broker": _broker_place()}


def database_place() -> str:
    given = settings.DATABASES["default"]
    if given["ENGINE"].endswith("sqlite3"):
        return str(Path(given["NAME"]).resolve())
    host = given.get("OPTIONS", {}).get("host") or given.get("HOST") or "its socket"
    host = "127.0.0.1" if host == "localhost" else host
    return f"{given['NAME']} at {host}:{given.get('PORT') or 5432}"


def _broker_place() -> str:
    scheme, _, rest = str(settings.CELERY_BROKER_URL).partition("://")
    place = rest.rpartition("@")[2].partition("?")[0]
    return f"{scheme}://{place.replace('localhost', '127.0.0.1', 1)}"


def _choices() -> dict[str, str]:
    return {
        name: value
        for name, value in local_choices().items()
        if os.environ.get(name) == value
    }


def running_choices(arguments: list[str]) -> dict[str, str]:
    """What a command that has no settings of its own takes from the running `up`.

    A process with DEBUG or SECRET_KEY was given its settings, and a service must not
    depend on what another process was started with: both get nothing.
    """
    is_equipped = any(os.environ.get(name) for name in ("DEBUG", "SECRET_KEY"))
    if is_equipped or not arguments or arguments[0] in SERVICES:
        return {}
    return next((record.get("choices", {}) for _, record in _running()), {})


def difference(arguments: list[str]) -> str:
    """A warning for a command that uses other places than `up`; else empty."""
    if not arguments or arguments[0] in UNCONCERNED:
        return ""
    ours, running = places(), list(_running())
    if not running or any(ours.items() <= record.items() for _, record in running):
        return ""
    pid, theirs = running[0]
    different = " and ".join(
        f"the {name} {theirs[name]}, this command {place}"
        for name, place in ours.items()
        if place != theirs.get(name)
    )
    return (
        f"Fanfare runs here (process {pid}) and uses {different}. Set the same "
        "DATABASE_URL, BROKER_URL and VAR_DIR in this terminal."
    )


def _running() -> Iterator[tuple[str, dict[str, Any]]]:
    """The number of each `up` that runs, and its record."""
    for path in sorted(FOLDER.glob("*.json")):
        with suppress(OSError, ValueError), path.open() as file:
            if not _is_private(file.fileno()):
                continue
            if _is_locked(file.fileno()):
                yield path.stem, json.load(file)
            else:
                # An `up` that was killed could not remove it.
                path.unlink(missing_ok=True)


def _is_private(file: int) -> bool:
    """Whether no other account could have written it."""
    state = os.fstat(file)
    return state.st_uid == os.geteuid() and not stat.S_IMODE(state.st_mode) & 0o077


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False

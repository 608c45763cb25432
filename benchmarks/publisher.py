"""What a publisher does: all at once, at a steady rate, as many clients, or timed."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

from django.db import connection, transaction

FOLDER = Path(os.environ["BENCH_DIR"])
#: Events of a backlog that are published in one transaction.
TOGETHER = 100
WARM_UP_ORDERS = 20
#: Linux tells KiB, macOS bytes.
MAXRSS_PER_MIB = 1024**2 if sys.platform == "darwin" else 1024
HAS_DATABASE = bool(os.environ.get("DJANGO_SETTINGS_MODULE"))

Told = dict[str, Any]


def _atomic() -> AbstractContextManager[Any]:
    return transaction.atomic() if HAS_DATABASE else nullcontext()


def _open(contestant: Any) -> None:
    if hasattr(contestant, "open_queue"):
        contestant.open_queue()


def _wait_for_go(name: str) -> None:
    """All publishers begin together, long after Python has started."""
    (FOLDER / f"waiting-{name}").touch()
    while not (FOLDER / "go").exists():
        time.sleep(0.001)


def fill(contestant: Any, options: argparse.Namespace) -> Told:
    """A backlog of events, as fast as it can be made."""
    _open(contestant)
    end = options.first + options.count
    for first in range(options.first, end, TOGETHER):
        with _atomic():
            for number in range(first, min(first + TOGETHER, end)):
                contestant.announce(number)
    contestant.after_fill()
    return {}


def burst(contestant: Any, options: argparse.Namespace) -> Told:
    """Events as fast as they go, each in a transaction of its own."""
    _open(contestant)
    _wait_for_go(options.name)
    began_at, cpu_s = time.time(), time.process_time()
    for number in range(options.first, options.first + options.count):
        with _atomic():
            contestant.announce(number)
    return {
        "began_at": began_at,
        "cpu_s": time.process_time() - cpu_s,
        "rss_mib": getrusage(RUSAGE_SELF).ru_maxrss / MAXRSS_PER_MIB,
    }


def paced(contestant: Any, options: argparse.Namespace) -> Told:
    """Events at a steady rate, whatever becomes of the ones before."""
    _open(contestant)
    with _atomic():
        contestant.announce(options.first)
    _wait_for_go(options.name)
    began_at, late_ms, count = time.perf_counter(), 0.0, 0
    while (due := count / options.rate) < options.seconds:
        ahead = began_at + due - time.perf_counter()
        late_ms = max(late_ms, -ahead * 1000)
        time.sleep(max(0.0, ahead))
        count += 1
        with _atomic():
            contestant.announce(options.first + count)
    return {"count": count + 1, "late_ms": late_ms}


def added(contestant: Any, options: argparse.Namespace) -> Told:
    """Milliseconds of an order, alone and with its publishing, in turn."""
    _open(contestant)
    place_order = _place_order()
    order: list[float] = []
    published: list[float] = []
    for number in range(options.count + WARM_UP_ORDERS):
        order.append(_timed(place_order, number))
        published.append(_timed(place_order, number, then=contestant.announce))
    return {
        "order_ms": order[WARM_UP_ORDERS:],
        "published_ms": published[WARM_UP_ORDERS:],
    }


def clients(contestant: Any, options: argparse.Namespace) -> Told:
    """Orders of many clients at once: how many were placed, in how many seconds."""
    place_order = _place_order()
    then = None if options.is_silent else contestant.announce

    def client(index: int) -> int:
        _open(contestant)
        _wait_for_go(f"{options.name}-{index}")
        end, count = time.perf_counter() + options.seconds, 0
        while time.perf_counter() < end:
            _timed(place_order, options.first + count, then=then)
            count += 1
        connection.close()
        return count

    with ThreadPoolExecutor(options.threads) as pool:
        counts = list(pool.map(client, range(options.threads)))
    return {"orders": sum(counts), "seconds": options.seconds}


def _place_order() -> Callable[[int], None]:
    # Its tables are there for contestants with a database only.
    found: Callable[[int], None] = import_module("benchmarks.orders.buying").place_order
    return found


def _timed(
    place_order: Callable[[int], None],
    number: int,
    *,
    then: Callable[[int], None] | None = None,
) -> float:
    began_at = time.perf_counter()
    with transaction.atomic():
        place_order(number)
        if then is not None:
            then(number)
    return (time.perf_counter() - began_at) * 1000


ACTS: dict[str, Callable[[Any, argparse.Namespace], Told]] = {
    "fill": fill,
    "burst": burst,
    "paced": paced,
    "added": added,
    "clients": clients,
}

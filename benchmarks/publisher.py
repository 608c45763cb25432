"""What a publisher does: a backlog, a burst, a steady rate, many clients, or timed."""

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
#: Linux counts in KiB, macOS in bytes.
MAXRSS_PER_MIB = 1024**2 if sys.platform == "darwin" else 1024
HAS_DATABASE = bool(os.environ.get("DJANGO_SETTINGS_MODULE"))

Result = dict[str, Any]


def _atomic() -> AbstractContextManager[Any]:
    return transaction.atomic() if HAS_DATABASE else nullcontext()


def _open(contender: Any) -> None:
    if hasattr(contender, "open_queue"):
        contender.open_queue()


def _wait_for_go(name: str) -> None:
    """All publishers begin at the same moment, long after Python has started."""
    (FOLDER / f"waiting-{name}").touch()
    while not (FOLDER / "go").exists():
        time.sleep(0.001)


def fill(contender: Any, options: argparse.Namespace) -> Result:
    """A backlog of events, as fast as it can be made."""
    _open(contender)
    end = options.first + options.count
    for first in range(options.first, end, TOGETHER):
        with _atomic():
            for number in range(first, min(first + TOGETHER, end)):
                contender.announce(number)
    if hasattr(contender, "after_fill"):
        contender.after_fill()
    return {}


def burst(contender: Any, options: argparse.Namespace) -> Result:
    """Events as fast as they go, each in a transaction of its own."""
    _open(contender)
    _wait_for_go(options.name)
    began_at, cpu_s = time.time(), time.process_time()
    for number in range(options.first, options.first + options.count):
        with _atomic():
            contender.announce(number)
    return {
        "began_at": began_at,
        "cpu_s": time.process_time() - cpu_s,
        "rss_mib": getrusage(RUSAGE_SELF).ru_maxrss / MAXRSS_PER_MIB,
    }


def paced(contender: Any, options: argparse.Namespace) -> Result:
    """Events at a steady rate, however long those before take."""
    _open(contender)
    with _atomic():
        contender.announce(options.first)
    _wait_for_go(options.name)
    began_at, late_ms, count = time.perf_counter(), 0.0, 0
    while (due := count / options.rate) < options.seconds:
        ahead = began_at + due - time.perf_counter()
        late_ms = max(late_ms, -ahead * 1000)
        time.sleep(max(0.0, ahead))
        count += 1
        with _atomic():
            contender.announce(options.first + count)
    return {"count": count + 1, "late_ms": late_ms}


def added(contender: Any, options: argparse.Namespace) -> Result:
    """Milliseconds of an order, alone and with its publishing, in turn."""
    _open(contender)
    place_order = _place_order()
    order: list[float] = []
    published: list[float] = []
    for number in range(options.count + WARM_UP_ORDERS):
        order.append(_timed(place_order, number))
        published.append(_timed(place_order, number, then=contender.announce))
    return {
        "order_ms": order[WARM_UP_ORDERS:],
        "published_ms": published[WARM_UP_ORDERS:],
    }


def clients(contender: Any, options: argparse.Namespace) -> Result:
    """Orders of many clients at once: how many were placed, in how many seconds."""
    place_order = _place_order()
    then = None if options.is_silent else contender.announce

    def client(index: int) -> int:
        _open(contender)
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
    # Only contenders with a database have its tables.
    buying: Any = import_module("benchmarks.orders.buying")
    place_order: Callable[[int], None] = buying.place_order
    return place_order


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


SCENARIOS: dict[str, Callable[[Any, argparse.Namespace], Result]] = {
    "fill": fill,
    "burst": burst,
    "paced": paced,
    "added": added,
    "clients": clients,
}

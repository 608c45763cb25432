"""Whether a long log slows deliveries, with few and with very many due."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from benchmarks.arithmetic import median, ratio, rounded
from benchmarks.bench import Bench
from benchmarks.contenders import FANFARE, Setup
from benchmarks.measuring import DONE_SECONDS
from benchmarks.run import prepared, running

#: Deliveries in the table, and how many of them are due.
Size = tuple[int, int]

EMPTY: Size = (0, 0)
SETUP = Setup()
#: At the status, while all processes run.
LOOKS = 7


def growth(bench: Bench) -> dict[str, Any]:
    """Throughput ÷ that of an empty table."""
    return {
        "growth": [
            entry
            for settled in bench.sizes.growth
            for entry in _beside_empty(bench, settled)
        ]
    }


def _beside_empty(bench: Bench, settled: int) -> Iterator[dict[str, Any]]:
    rates: dict[Size, list[float]] = defaultdict(list)
    looks: dict[Size, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        templates = _templates(bench, stack, settled)
        titles = {size: "{:,} deliveries, {:,} due".format(*size) for size in templates}
        for size in bench.in_turn(titles):
            per_s, status_ms = _one_round(bench, size, templates[size])
            rates[size].append(per_s)
            looks[size].append(status_ms)
    empty = median(rates.pop(EMPTY))
    for size, each in rates.items():
        yield {
            **_entry(size, median(each), empty),
            "status_ms": rounded(median(looks[size])),
            "empty_status_ms": rounded(median(looks[EMPTY])),
        }


def _templates(bench: Bench, stack: ExitStack, settled: int) -> dict[Size, str]:
    """The names of databases of these sizes, to be copied for each round."""
    bench.log(f"filling: {settled:,} deliveries")
    events = settled // SETUP.subscribers
    long = stack.enter_context(prepared(bench, FANFARE, "lengthen", count=events))
    due = bench.sizes.due // SETUP.subscribers
    busy = prepared(bench, FANFARE, "fill", template=long, count=due)
    return {
        EMPTY: "",
        (settled, 0): long,
        (settled, bench.sizes.due): stack.enter_context(busy),
    }


def _one_round(bench: Bench, size: Size, template: str) -> tuple[float, float]:
    """Deliveries a second, and milliseconds of the status."""
    due = size[1]
    with running(bench, FANFARE, SETUP, template=template) as run:
        if not due:
            due = bench.sizes.backlog // SETUP.subscribers * SETUP.subscribers
            run.play("fill", count=due // SETUP.subscribers)
        whole = run.finished(0.0).count + due
        ready_at = run.start()
        done = run.wait_done(whole, since=ready_at, seconds=DONE_SECONDS)
        count, seconds = run.after_first(done)
        (look,) = run.play("status", count=LOOKS)
    return count / max(seconds, 1e-3), look["status_ms"]


def _entry(size: Size, per_s: float | None, empty: float | None) -> dict[str, Any]:
    return {
        "deliveries": size[0],
        "due": size[1],
        "ratio_to_empty": ratio(per_s, empty),
        "per_s": rounded(per_s),
        "empty_per_s": rounded(empty),
    }

"""Whether nine healthy subscribers wait longer while the tenth hangs."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

from benchmarks.arithmetic import median, percentile, ratio, rounded
from benchmarks.bench import Bench
from benchmarks.contenders import FANFARE, Setup
from benchmarks.run import Run, running
from tests.servers.waiting import wait_until

SUBSCRIBERS = 10
HANGING = 0
EVENTS_PER_S = 20.0
MAX_SECONDS = 60.0


def isolation(bench: Bench) -> dict[str, Any]:
    """p99 of the healthy subscribers, with and without one that hangs."""
    p99: dict[int, list[float]] = defaultdict(list)
    for hanging in bench.in_turn({-1: "none hangs", HANGING: "one hangs"}):
        p99[hanging].append(_p99(bench, hanging))
    with_it, without = median(p99[HANGING]), median(p99[-1])
    return {
        "isolation": {
            "ratio_with_to_without": ratio(with_it, without),
            "p99_ms_with": rounded(with_it),
            "p99_ms_without": rounded(without),
            "subscribers": SUBSCRIBERS,
            "events_per_s": EVENTS_PER_S,
        }
    }


def _p99(bench: Bench, hanging: int) -> float:
    setup = Setup(
        pool="prefork",
        subscribers=SUBSCRIBERS,
        hanging=hanging,
        is_timed=True,
        queues="router.default",
        other_queues=("router.slow",),
    )
    with running(bench, FANFARE, setup) as run:
        run.start()
        run.wait_for_dispatcher()
        # After one event of each, the router knows how long each subscriber takes.
        run.play("paced")
        wait_until(lambda: not run.is_open(), MAX_SECONDS)
        began_ns = time.time_ns()
        seconds = bench.sizes.paced_seconds
        (published,) = run.play("paced", rate=EVENTS_PER_S, seconds=seconds)
        count = published["count"] * (SUBSCRIBERS - 1)
        wait_until(lambda: len(_healthy_ms(run, began_ns)) == count, MAX_SECONDS)
        return percentile(_healthy_ms(run, began_ns), 0.99) or 0.0


def _healthy_ms(run: Run, began_ns: int) -> list[float]:
    return [
        wait.ms
        for wait in run.waits()
        if wait.subscriber != HANGING and wait.published_ns >= began_ns
    ]

"""Whether nine healthy subscribers feel that the tenth hangs."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

from benchmarks.arithmetic import median, percentile, ratio, rounded
from benchmarks.bench import Bench
from benchmarks.contenders import FANFARE, Setup
from benchmarks.run import Stage, on_stage
from tests.servers.waiting import wait_until

SUBSCRIBERS = 10
HANGING = 0
EVENTS_PER_S = 20.0
PATIENCE_SECONDS = 60.0
WARM_UP_SECONDS = 1.0
UNMEASURED = "SELECT count(*) FROM router_subscriber WHERE mean_run_ms IS NULL"
#: Healthy deliveries that are still open; the hanging one is known by its name.
OPEN = """
    SELECT (SELECT count(*) FROM router_eventrecord WHERE position IS NULL) +
        (SELECT count(*) FROM router_delivery AS d
            JOIN router_subscriber AS s ON s.id = d.subscriber_id
            WHERE d.state IN ('PENDING', 'LEASED') AND s.name <> 'subscriber_0')
"""


def isolation(bench: Bench) -> dict[str, Any]:
    """p99 of the healthy ones, with and without one that hangs."""
    found: dict[int, list[float]] = defaultdict(list)
    for number in range(bench.sizes.rounds):
        for hanging in (-1, HANGING):
            beside = "nobody hangs" if hanging < 0 else "one hangs"
            bench.tell(f"round {number + 1}: {beside}")
            found[hanging].append(_p99(bench, hanging))
    with_it, without = median(found[HANGING]), median(found[-1])
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
    """Once the router knows by itself how long everybody takes."""
    setup = Setup(
        pool="prefork",
        subscribers=SUBSCRIBERS,
        hanging=hanging,
        is_timed=True,
        queues="router.default",
        other_queues=("router.slow",),
    )
    with on_stage(bench, FANFARE, setup) as stage:
        stage.start()
        stage.wait_for_dispatchers()
        stage.act("paced", rate=EVENTS_PER_S, seconds=WARM_UP_SECONDS)
        wait_until(lambda: stage.ask(UNMEASURED)[0] == 0, PATIENCE_SECONDS)
        began_ns = time.time_ns()
        stage.act("paced", rate=EVENTS_PER_S, seconds=bench.sizes.paced_seconds)
        wait_until(lambda: _open_count(stage) == 0, PATIENCE_SECONDS)
        healthy = [
            wait.ms
            for wait in stage.waits()
            if wait.subscriber != HANGING and wait.published_ns >= began_ns
        ]
    return percentile(healthy, 0.99) or 0.0


def _open_count(stage: Stage) -> int:
    return int(stage.ask(OPEN)[0])

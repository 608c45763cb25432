"""What a shop needs: cores by its pace, and room on the disk."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

from benchmarks.arithmetic import median, medians
from benchmarks.bench import Bench
from benchmarks.contenders import FANFARE, Setup
from benchmarks.measuring import DONE_SECONDS
from benchmarks.run import Run, running

WARM_UP_SECONDS = 1.0
BYTES = """
    SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
    WHERE relkind = 'r' AND starts_with(relname, 'router_')"""

#: Kind of process → cores that it keeps busy.
Cores = dict[str, float]


def sizing(bench: Bench) -> dict[str, Any]:
    """Cores by events a second, of handlers that do nothing, and bytes an event."""
    setup = Setup(prefetch=1)
    cores: dict[float, list[Cores]] = defaultdict(list)
    kept: list[float] = []
    titles = {rate: f"{rate:g} events a second" for rate in bench.sizes.sizing}
    for rate in bench.in_turn(titles):
        with running(bench, FANFARE, setup) as run:
            before = run.ask(BYTES)
            cores[rate].append(_cores(bench, run, rate))
            if rate == max(titles):
                events = run.finished(0.0).count / setup.subscribers
                kept.append((run.ask(BYTES) - before) / events)
    return {
        "sizing": {
            "subscribers": setup.subscribers,
            "workers": setup.workers,
            "bytes_per_event": round(median(kept) or 0),
            "paces": [
                {"events_per_s": rate, "cores": medians(rounds)}
                for rate, rounds in cores.items()
            ],
        }
    }


def _cores(bench: Bench, run: Run, rate: float) -> Cores:
    run.start()
    run.wait_for_dispatcher()
    _publish(run, max(1.0, rate), WARM_UP_SECONDS)
    before, began_at = run.cpu(), time.monotonic()
    if rate:
        _publish(run, rate, bench.sizes.paced_seconds)
    else:
        time.sleep(bench.sizes.paced_seconds)
    seconds = time.monotonic() - began_at
    return {kind: (used - before[kind]) / seconds for kind, used in run.cpu().items()}


def _publish(run: Run, rate: float, seconds: float) -> None:
    before = run.finished(0.0).count
    (published,) = run.play("paced", rate=rate, seconds=seconds)
    count = published["count"] * run.setup.subscribers
    run.wait_done(before + count, seconds=DONE_SECONDS)

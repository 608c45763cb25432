"""What a shop needs: cores by its pace, and room on the disk."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from benchmarks.arithmetic import median, rounded
from benchmarks.bench import Bench
from benchmarks.contenders import FANFARE, Setup
from benchmarks.measuring import DONE_SECONDS
from benchmarks.run import Stage, on_stage

WARM_UP_SECONDS = 1.0
KEPT = ("router_eventrecord", "router_delivery", "router_attempt")
BYTES = f"SELECT {' + '.join(f'pg_total_relation_size({table!r})' for table in KEPT)}"

#: Kind of process → cores that it keeps busy.
Cores = dict[str, float]


def sizing(bench: Bench) -> dict[str, Any]:
    """Cores by events a second, of handlers that do nothing, and bytes an event."""
    setup = Setup(prefetch=1)
    cores: dict[float, list[Cores]] = defaultdict(list)
    kept: list[float] = []
    for number in range(bench.sizes.rounds):
        for rate in bench.sizes.sizing:
            bench.tell(f"round {number + 1}: the cores for {rate:g} events a second")
            with on_stage(bench, FANFARE, setup) as stage:
                cores[rate].append(_cores(bench, stage, rate))
                if rate == max(bench.sizes.sizing):
                    kept.append(_bytes_per_event(stage))
    return {
        "sizing": {
            "subscribers": setup.subscribers,
            "workers": setup.workers,
            "bytes_per_event": round(median(kept)),
            "paces": [
                {"events_per_s": rate, "cores": _medians(rounds)}
                for rate, rounds in cores.items()
            ],
        }
    }


def _cores(bench: Bench, stage: Stage, rate: float) -> Cores:
    stage.start()
    stage.wait_for_dispatchers()
    _publish(stage, max(1.0, rate), WARM_UP_SECONDS)
    before, began_at = stage.cpu(), time.monotonic()
    if rate:
        _publish(stage, rate, bench.sizes.paced_seconds)
    else:
        time.sleep(bench.sizes.paced_seconds)
    seconds = time.monotonic() - began_at
    return {kind: (used - before[kind]) / seconds for kind, used in stage.cpu().items()}


def _publish(stage: Stage, rate: float, seconds: float) -> None:
    told = stage.act("paced", rate=rate, seconds=seconds)
    stage.wait_done(
        sum(one["count"] for one in told) * stage.setup.subscribers,
        seconds=DONE_SECONDS,
    )


def _bytes_per_event(stage: Stage) -> float:
    (kept,) = stage.ask(BYTES)
    (count,) = stage.ask("SELECT count(*) FROM router_eventrecord")
    return float(kept) / float(count)


def _medians(rounds: Sequence[Cores]) -> dict[str, float | None]:
    return {kind: rounded(median([one[kind] for one in rounds])) for kind in rounds[0]}

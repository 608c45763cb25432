"""What a dispatcher costs while nothing happens, on an empty and on a long log."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

from benchmarks.arithmetic import median, rounded
from benchmarks.bench import Bench
from benchmarks.contenders import FANFARE, Setup
from benchmarks.run import Stage, on_stage

DELETED = 500
WARM_UP_SECONDS = 3.0
KINDS = ("dispatcher", "database")

#: Kind of process → its share of a core.
Shares = dict[str, float]


def idle(bench: Bench) -> dict[str, Any]:
    """Shares of a core by the number of settled events of deleted subscribers."""
    found: dict[int, list[Shares]] = defaultdict(list)
    for number in range(bench.sizes.rounds):
        for events in bench.sizes.idle:
            bench.tell(f"round {number + 1}: idle beside {events:,} events")
            with on_stage(bench, FANFARE, Setup()) as stage:
                if events:
                    stage.act("outlive", count=events, first=DELETED)
                found[events].append(_shares(bench, stage))
    return {
        "idle": [
            {
                "events": events,
                "deleted_subscribers": DELETED if events else 0,
                **{
                    kind: rounded(median([one[kind] for one in each])) for kind in KINDS
                },
            }
            for events, each in found.items()
        ]
    }


def _shares(bench: Bench, stage: Stage) -> Shares:
    stage.start()
    stage.wait_for_dispatchers()
    time.sleep(WARM_UP_SECONDS)
    before, began_at = stage.cpu(), time.monotonic()
    time.sleep(bench.sizes.paced_seconds)
    seconds = time.monotonic() - began_at
    after = stage.cpu()
    return {kind: (after[kind] - before[kind]) / seconds for kind in KINDS}

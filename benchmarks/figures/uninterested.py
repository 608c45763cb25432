"""What an event costs beside subscribers in the stream that want none of its type."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from benchmarks.arithmetic import medians
from benchmarks.bench import Bench
from benchmarks.contenders import FANFARE, Setup
from benchmarks.measuring import DONE_SECONDS
from benchmarks.run import Run, running

EVENTS_PER_S = 50.0
WARM_UP_SECONDS = 2.0

#: Kind of process → milliseconds of processor time an event.
Costs = dict[str, float]


def uninterested(bench: Bench) -> dict[str, Any]:
    """Processor time of an event that five want, by how many others there are."""
    costs: dict[int, list[Costs]] = defaultdict(list)
    titles = {
        others: f"beside {others} uninterested" for others in bench.sizes.uninterested
    }
    for others in bench.in_turn(titles):
        with running(bench, FANFARE, Setup(uninterested=others)) as run:
            costs[others].append(_costs(bench, run))
    return {
        "uninterested": [
            {"uninterested": others, **medians(rounds)}
            for others, rounds in costs.items()
        ]
    }


def _costs(bench: Bench, run: Run) -> Costs:
    run.start()
    run.wait_for_dispatcher()
    _publish(run, WARM_UP_SECONDS)
    before = run.cpu()
    count = _publish(run, bench.sizes.paced_seconds)
    return {
        kind: (used - before[kind]) / count * 1000 for kind, used in run.cpu().items()
    }


def _publish(run: Run, seconds: float) -> int:
    """Publish, wait until all is done, and return how many events there were."""
    before = run.finished(0.0).count
    (published,) = run.play("paced", rate=EVENTS_PER_S, seconds=seconds)
    count = int(published["count"])
    run.wait_done(before + count * run.setup.subscribers, seconds=DONE_SECONDS)
    return count

"""What more workers and more dispatchers give."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from benchmarks.arithmetic import median, ratio, rounded
from benchmarks.bench import Bench
from benchmarks.contenders import FANFARE, Setup
from benchmarks.measuring import backlog

WORKERS_BESIDE_DISPATCHERS = 2


def scaling(bench: Bench) -> dict[str, Any]:
    rates: dict[tuple[int, int], list[float]] = defaultdict(list)
    titles = {
        pair: "{} workers, {} dispatchers".format(*pair)
        for pair in _combinations(bench.sizes.scaling)
    }
    for workers, dispatchers in bench.in_turn(titles):
        setup = Setup(workers=workers, dispatchers=dispatchers)
        rates[workers, dispatchers].append(backlog(bench, FANFARE, setup).per_s)
    base = median(rates[1, 1])
    return {
        "scaling": [
            {
                "workers": workers,
                "dispatchers": dispatchers,
                "ratio_to_one": ratio(median(each), base),
                "per_s": rounded(median(each)),
            }
            for (workers, dispatchers), each in rates.items()
        ]
    }


def _combinations(counts: Sequence[int]) -> list[tuple[int, int]]:
    several = [(WORKERS_BESIDE_DISPATCHERS, count) for count in counts if count > 1]
    return [*((count, 1) for count in counts), *several]

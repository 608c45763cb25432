"""Deliveries a second, of everybody on the same work, in turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.arithmetic import median, ratios, rounded, spread
from benchmarks.bench import Bench
from benchmarks.contenders import BARE, FANFARE, NAIVE, PEERS, Contestant, Setup
from benchmarks.measuring import Measured, backlog, live

#: What calibration takes of a whole run.
CALIBRATION = 0.5
MODES = {"backlog": backlog, "live": live}


@dataclass(frozen=True, kw_only=True)
class Cell:
    setup: Setup
    mode: str

    @property
    def name(self) -> str:
        return f"{self.setup.name}-{self.mode}"

    @property
    def bare(self) -> Cell:
        """Bare Celery does nothing in its tasks, whatever the others do."""
        return Cell(setup=self.setup.but(handler="noop"), mode=self.mode)

    @property
    def of_peers(self) -> Cell:
        """Peers know no broker and no pool."""
        return Cell(setup=Setup(handler=self.setup.handler), mode=self.mode)


#: What there is a figure of: cell → who runs in it.
Rates = dict[tuple[str, str], list[Measured]]


def cells() -> list[Cell]:
    return [
        Cell(setup=Setup(broker=broker, pool=pool, handler=handler), mode=mode)
        for broker in ("redis", "rabbitmq")
        for pool in ("solo", "prefork")
        for handler in ("noop", "orm")
        for mode in MODES
    ]


def main_cells() -> list[Cell]:
    """What `--quick` shows."""
    return [Cell(setup=Setup(), mode="backlog")]


def throughput(bench: Bench, chosen: Sequence[Cell] = ()) -> dict[str, Any]:
    """All cells; peers know no broker nor pool, and run once for each kind of work."""
    wanted = chosen or [cell for cell in cells() if bench.shows(cell.name)]
    measured: Rates = defaultdict(list)
    for number in range(bench.sizes.rounds):
        for cell, one in _runs(bench, wanted, with_peers=not chosen):
            bench.tell(f"round {number + 1}: {one.title}, {cell.name}")
            setup = cell.setup.but(prefetch=prefetch_of(bench, one, cell))
            found = MODES[cell.mode](bench, one, setup)
            measured[cell.name, one.name].append(found)
    return {
        "throughput": [_entry(bench, cell, measured) for cell in wanted],
        **_costs(wanted, measured),
    }


def _runs(
    bench: Bench, wanted: Sequence[Cell], *, with_peers: bool
) -> Iterable[tuple[Cell, Contestant]]:
    """Everybody in turn; who is the same in several cells runs once."""
    peers = bench.present(PEERS) if with_peers else []
    seen: set[tuple[str, str]] = set()
    for cell in wanted:
        once = [(cell.bare, BARE), *((cell.of_peers, one) for one in peers)]
        for place, one in [*once, (cell, NAIVE), (cell, FANFARE)]:
            if (place.name, one.name) not in seen:
                seen.add((place.name, one.name))
                yield place, one


def prefetch_of(bench: Bench, one: Contestant, cell: Cell) -> int:
    """The best for bare Celery, tried once for each broker and pool."""
    if one is not BARE:
        return Setup().prefetch
    place = f"{cell.setup.broker}-{cell.setup.pool}"
    if place not in bench.prefetch:
        rates = {}
        for prefetch in bench.sizes.prefetches:
            bench.tell(f"bare Celery on {place} with prefetch {prefetch}")
            setup = cell.setup.but(prefetch=prefetch)
            rates[prefetch] = backlog(bench, BARE, setup, share=CALIBRATION).per_s
        bench.prefetch[place] = max(rates, key=lambda prefetch: rates[prefetch])
    return bench.prefetch[place]


def _entry(bench: Bench, cell: Cell, measured: Rates) -> dict[str, Any]:
    rates = {
        BARE.name: _per_s(measured, cell.bare, BARE),
        NAIVE.name: _per_s(measured, cell, NAIVE),
        **{one.name: _per_s(measured, cell.of_peers, one) for one in PEERS},
    }
    ours = [one.per_s for one in measured[cell.name, FANFARE.name]]
    per_s = median(ours)
    if per_s is not None:
        bench.capacity[FANFARE.name, cell.name] = per_s
    for name in (BARE.name, NAIVE.name):
        if (rate := rates[name]) is not None:
            bench.capacity[name, cell.name] = rate
    return {
        "name": cell.name,
        "per_s": rounded(per_s),
        **ratios(per_s, rates),
        "per_s_of": {name: rounded(rate) for name, rate in rates.items()},
        "spread": spread(ours),
        "bare_celery_prefetch": bench.prefetch.get(
            f"{cell.setup.broker}-{cell.setup.pool}"
        ),
    }


def _per_s(measured: Rates, cell: Cell, one: Contestant) -> float | None:
    return median([found.per_s for found in measured.get((cell.name, one.name), [])])


def _costs(wanted: Sequence[Cell], measured: Rates) -> dict[str, Any]:
    """CPU and memory where publishers run as well."""
    live_cells = [cell for cell in wanted if cell.mode == "live"]
    cell = (live_cells or list(wanted))[0]
    found = {
        name: runs
        for (place, name), runs in measured.items()
        if place == cell.name and runs
    }
    return {
        "cpu_s_per_10k": {name: _medians(runs, "cpu") for name, runs in found.items()},
        "rss_mib": {name: _medians(runs, "rss") for name, runs in found.items()},
        "costs_measured_in": cell.name,
    }


def _medians(runs: Sequence[Measured], what: str) -> dict[str, float | None]:
    told: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        for kind, value in getattr(run, what).items():
            told[kind].append(value)
    return {kind: rounded(median(values)) for kind, values in sorted(told.items())}

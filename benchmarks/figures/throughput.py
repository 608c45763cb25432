"""Deliveries a second of every contender on the same work, in turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.arithmetic import median, medians, ratios, rounded, spread
from benchmarks.bench import Bench
from benchmarks.contenders import BARE, FANFARE, NAIVE, PEERS, Contender, Setup
from benchmarks.measuring import Measured, backlog, live
from benchmarks.run import NotDone
from benchmarks.sizes import Sizes

#: The size of a calibration ÷ that of a whole run.
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
        """The tasks of bare Celery do nothing in every cell."""
        return Cell(setup=self.setup.but(handler="noop"), mode=self.mode)

    @property
    def of_peers(self) -> Cell:
        """Peers know no broker and no pool."""
        return Cell(setup=Setup(handler=self.setup.handler), mode=self.mode)


#: (cell, contender) → its runs.
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
        for cell, contender in _runs(bench, wanted, with_peers=not chosen):
            bench.log(f"round {number + 1}: {contender.title}, {cell.name}")
            setup = cell.setup.but(prefetch=prefetch_of(bench, contender, cell))
            run = partial(MODES[cell.mode], bench, contender, setup)
            measured[cell.name, contender.name] += _that_ends(bench, run)
    return {
        "throughput": [_entry(bench, cell, measured) for cell in wanted],
        **_costs(wanted, measured),
    }


def _that_ends(bench: Bench, run: Callable[[], Measured]) -> list[Measured]:
    """One run; none where the contender came to a stop, which costs no other its
    figures."""
    try:
        return [run()]
    except NotDone as error:
        bench.log(str(error))
        return []


def _runs(
    bench: Bench, wanted: Sequence[Cell], *, with_peers: bool
) -> Iterable[tuple[Cell, Contender]]:
    """Every contender in turn; it runs once where several cells are the same to it."""
    peers = bench.present(PEERS) if with_peers else []
    seen: set[tuple[str, str]] = set()
    for cell in wanted:
        once = [(cell.bare, BARE), *((cell.of_peers, peer) for peer in peers)]
        for place, contender in [*once, (cell, NAIVE), (cell, FANFARE)]:
            if (place.name, contender.name) not in seen:
                seen.add((place.name, contender.name))
                yield place, contender


def prefetch_of(bench: Bench, contender: Contender, cell: Cell) -> int:
    """The best for bare Celery, tried once for each broker and pool."""
    if contender is not BARE:
        return Setup().prefetch
    place = f"{cell.setup.broker}-{cell.setup.pool}"
    if place not in bench.prefetch:
        rates = {}
        for prefetch in prefetches(bench.sizes, cell.setup):
            bench.log(f"bare Celery on {place} with prefetch {prefetch}")
            setup = cell.setup.but(prefetch=prefetch)
            run = partial(backlog, bench, BARE, setup, share=CALIBRATION)
            rates[prefetch] = max(
                (each.per_s for each in _that_ends(bench, run)), default=0.0
            )
        bench.prefetch[place] = max(rates, key=lambda prefetch: rates[prefetch])
    return bench.prefetch[place]


def prefetches(sizes: Sizes, setup: Setup) -> list[int]:
    """What to try for bare Celery on this broker and pool.

    A solo worker on RabbitMQ comes to a stop at 1: kombu puts an acknowledgement off to
    the loop's next pass, then waits up to two seconds for a message or a timer, and
    RabbitMQ sends no message before the acknowledgement.
    """
    stops = (setup.broker, setup.pool) == ("rabbitmq", "solo")
    return [each for each in sizes.prefetches if each > 1 or not stops]


def _entry(bench: Bench, cell: Cell, measured: Rates) -> dict[str, Any]:
    rates = {
        BARE.name: _per_s(measured, cell.bare, BARE),
        NAIVE.name: _per_s(measured, cell, NAIVE),
        **{peer.name: _per_s(measured, cell.of_peers, peer) for peer in PEERS},
    }
    ours = [run.per_s for run in measured[cell.name, FANFARE.name]]
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


def _per_s(measured: Rates, cell: Cell, contender: Contender) -> float | None:
    runs = measured.get((cell.name, contender.name), [])
    return median([run.per_s for run in runs])


def _costs(wanted: Sequence[Cell], measured: Rates) -> dict[str, Any]:
    """CPU and memory where publishers run as well."""
    live_cells = [cell for cell in wanted if cell.mode == "live"]
    cell = (live_cells or list(wanted))[0]
    runs_of = {
        name: runs
        for (place, name), runs in measured.items()
        if place == cell.name and runs
    }
    return {
        "cpu_s_per_10k": {
            name: medians([run.cpu for run in runs]) for name, runs in runs_of.items()
        },
        "rss_mib": {
            name: medians([run.rss for run in runs]) for name, runs in runs_of.items()
        },
        "costs_measured_in": cell.name,
    }

"""Whether a log of years costs anything: with few and with very many due."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks.arithmetic import median, ratio, rounded
from benchmarks.bench import Bench
from benchmarks.contenders import FANFARE, Setup
from benchmarks.measuring import DONE_SECONDS
from benchmarks.run import Stage, on_stage

#: Deliveries in the table, and how many of them are due.
Size = tuple[int, int]
Figures = dict[str, float]

EMPTY: Size = (0, 0)


def growth(bench: Bench) -> dict[str, Any]:
    """Times of the dispatcher's steps, and throughput ÷ that of an empty table."""
    return {
        "growth": [
            entry
            for settled in bench.sizes.growth
            for entry in _beside_empty(bench, settled)
        ]
    }


def _beside_empty(bench: Bench, settled: int) -> Iterator[dict[str, Any]]:
    sizes = [(settled, 0), (settled, bench.sizes.due)]
    found: dict[Size, list[Figures]] = defaultdict(list)
    with ExitStack() as stack:
        templates = {size: _template(bench, stack, size) for size in (EMPTY, *sizes)}
        for number in range(bench.sizes.rounds):
            for size, template in templates.items():
                bench.tell(f"round {number + 1}: {_told(size)}")
                found[size].append(_one_round(bench, size, template))
    for size in sizes:
        yield _entry(size, found[size], found[EMPTY])


def _told(size: Size) -> str:
    return f"{size[0]:,} deliveries in the table, {size[1]:,} due"


def _template(bench: Bench, stack: ExitStack, size: Size) -> str:
    """The name of a database of that size, to be copied for each round."""
    bench.tell(f"filling: {_told(size)}")
    url = stack.enter_context(bench.database(FANFARE))
    # Nobody may use a database that is copied: the stage ends before.
    with ExitStack() as ended:
        stage = Stage(bench, FANFARE, Setup(), url)
        ended.callback(stage.stop)
        settled, due = size
        stage.act("lengthen", count=settled, first=due)
    return bench.name_of(url)


def _one_round(bench: Bench, size: Size, template: str) -> Figures:
    setup = Setup()
    settled, due = size
    with on_stage(bench, FANFARE, setup, template=template) as stage:
        (times,) = stage.act("turn_times", count=bench.sizes.turns)
        events = bench.sizes.backlog // setup.subscribers
        if not due:
            stage.act("fill", count=events)
            due = events * setup.subscribers
        ready_at = stage.start()
        whole = settled // setup.subscribers * setup.subscribers + due
        done = stage.wait_done(whole, since=ready_at, seconds=DONE_SECONDS)
    seconds = done.last_at - max(ready_at, done.first_at)
    steps = {name: _p50(ms) for name, ms in times.items() if name.endswith("_ms")}
    return {**steps, "per_s": done.count / max(seconds, 1e-3)}


def _p50(values: Sequence[float]) -> float:
    return median(values) or 0.0


def _entry(
    size: Size, rounds: Sequence[Figures], empty: Sequence[Figures]
) -> dict[str, Any]:
    medians = {name: _p50([one[name] for one in rounds]) for name in rounds[0]}
    base = _p50([one["per_s"] for one in empty])
    return {
        "deliveries": size[0],
        "due": size[1],
        "ratio_to_empty": ratio(medians["per_s"], base),
        **{name: rounded(value) for name, value in medians.items()},
        "empty_per_s": rounded(base),
    }

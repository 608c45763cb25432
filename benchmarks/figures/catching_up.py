"""How fast a new subscriber catches up with all of history."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from typing import Any

from benchmarks.arithmetic import median, rounded, spread
from benchmarks.bench import Bench
from benchmarks.contenders import FANFARE, WEBHOOKS, Contender, Setup
from benchmarks.figures.webhooks import OURS, RAISED_IN_FLIGHT
from benchmarks.measuring import DONE_SECONDS
from benchmarks.receiver import receiving
from benchmarks.run import running

START = "beginning"
#: Of the events, for those that take longer.
SHARE = 0.1
#: Name → what catches up, and its share of the events.
RUNS: dict[str, tuple[Contender, Setup, float]] = {
    "handler": (FANFARE, Setup(subscribers=1, start=START), 1.0),
    "webhook": (
        WEBHOOKS,
        OURS.but(endpoints=1, in_flight=RAISED_IN_FLIGHT, start=START),
        SHARE,
    ),
}


def catching_up(bench: Bench) -> dict[str, Any]:
    """Events a second from the first acknowledgement to the last."""
    rates: dict[str, list[float]] = defaultdict(list)
    for name in bench.in_turn({name: f"a new {name}" for name in RUNS}):
        contender, setup, _ = RUNS[name]
        rates[name].append(_rate(bench, contender, setup, _count(bench, name)))
    return {
        "catching_up": [
            {
                "name": name,
                "events": _count(bench, name),
                "per_s": rounded(median(values)),
                "spread": spread(values),
            }
            for name, values in rates.items()
        ]
    }


def _count(bench: Bench, name: str) -> int:
    return int(bench.sizes.history * RUNS[name][2])


def _rate(bench: Bench, contender: Contender, setup: Setup, count: int) -> float:
    with ExitStack() as stack:
        if setup.endpoints:
            receiver = stack.enter_context(receiving(bench.folder))
            setup = setup.but(receiver=receiver.url)
        run = stack.enter_context(running(bench, contender, setup))
        run.play("fill", count=count)
        run.start()
        done = run.wait_done(count, seconds=DONE_SECONDS)
        return done.count / max(done.last_at - done.first_at, 1e-3)

"""How fast a new subscriber gets all of history, by the kind of subscriber."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from typing import Any

from benchmarks.arithmetic import median, rounded, spread
from benchmarks.bench import Bench
from benchmarks.contenders import FANFARE, WEBHOOKS, Contender, Setup
from benchmarks.receiver import RESPONSE_MS, receiving
from benchmarks.run import Run, prepared, running
from tests.servers.waiting import free_port

#: As many handlers as have had all of history.
KNOWN = 5
#: For a million posts, on a slow machine.
DONE_SECONDS = 1800.0
WEB = "benchmarks.project.wsgi:application"
#: Kind → its contender and setup. The handler is one that no history knows.
RUNS: dict[str, tuple[Contender, Setup]] = {
    "handler": (FANFARE, Setup(workers=1, subscribers=KNOWN + 1)),
    "pull": (FANFARE, Setup(workers=1, subscribers=KNOWN)),
    "webhook": (
        WEBHOOKS,
        # As in the figure of webhooks.
        Setup(pool="threads", workers=16, subscribers=KNOWN, in_flight=1000),
    ),
}


def catching_up(bench: Bench) -> dict[str, Any]:
    """Events a second, from the begin of the backfill to the last acknowledgement."""
    rates: dict[str, list[float]] = defaultdict(list)
    count = bench.sizes.history
    bench.log(f"filling: {count:,} events")
    with prepared(bench, FANFARE, "lengthen", count=count) as template:
        for kind in bench.in_turn({kind: kind for kind in RUNS}):
            rates[kind].append(_one_round(bench, kind, template))
    return {
        "catching_up": {
            "events": count,
            "receiver_ms": RESPONSE_MS,
            "per_s": {kind: rounded(median(values)) for kind, values in rates.items()},
            "spread": {kind: spread(values) for kind, values in rates.items()},
        }
    }


def _one_round(bench: Bench, kind: str, template: str) -> float:
    contender, setup = RUNS[kind]
    count = bench.sizes.history
    with ExitStack() as stack:
        if kind == "webhook":
            receiver = stack.enter_context(receiving(bench.folder))
            setup = setup.but(receiver=receiver.url)
        run = stack.enter_context(running(bench, contender, setup, template=template))
        if kind == "pull":
            return _pulled(run, count)
        return _pushed(run, count, is_handler=kind == "handler")


def _pushed(run: Run, count: int, *, is_handler: bool) -> float:
    before = run.finished(0.0).count
    run.start()
    run.wait_for_dispatcher()
    (begun,) = run.play("subscribe", is_silent=is_handler)
    done = run.wait_done(before + count, since=begun["began_at"], seconds=DONE_SECONDS)
    return count / (done.last_at - begun["began_at"])


def _pulled(run: Run, count: int) -> float:
    """By one client, over HTTP, from one web process."""
    run.start_dispatchers()
    run.wait_for_dispatcher()
    port = free_port()
    run.start_web(WEB, port)
    (begun,) = run.play("subscribe")
    (pulled,) = run.play("pull", count=count, first=port)
    return count / (pulled["ended_at"] - begun["began_at"])

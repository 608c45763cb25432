"""What a dispatcher costs while nothing happens, on an empty and on a long log."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks.arithmetic import medians
from benchmarks.bench import Bench
from benchmarks.contenders import FANFARE, Setup
from benchmarks.run import Run, prepared, running

DELETED = 500
WARM_UP_SECONDS = 3.0
KINDS = ("dispatcher", "database")

#: Kind of process → its share of a core.
Shares = dict[str, float]


def idle(bench: Bench) -> dict[str, Any]:
    """Shares of a core by the number of settled events of deleted subscribers."""
    shares: dict[int, list[Shares]] = defaultdict(list)
    with ExitStack() as stack:
        templates = {
            events: _template(bench, stack, events) for events in bench.sizes.idle
        }
        titles = {events: f"idle beside {events:,} events" for events in templates}
        for events in bench.in_turn(titles):
            with running(bench, FANFARE, Setup(), template=templates[events]) as run:
                shares[events].append(_shares(bench, run))
    return {"idle": [_entry(events, rounds) for events, rounds in shares.items()]}


def _template(bench: Bench, stack: ExitStack, events: int) -> str:
    if not events:
        return ""
    bench.log(f"filling: {events:,} events of {DELETED} deleted subscribers")
    outlived = prepared(bench, FANFARE, "outlive", count=events, first=DELETED)
    return stack.enter_context(outlived)


def _entry(events: int, rounds: Sequence[Shares]) -> dict[str, Any]:
    return {
        "events": events,
        "deleted_subscribers": DELETED if events else 0,
        **medians(rounds),
    }


def _shares(bench: Bench, run: Run) -> Shares:
    run.start()
    run.wait_for_dispatcher()
    time.sleep(WARM_UP_SECONDS)
    before, began_at = run.cpu(), time.monotonic()
    time.sleep(bench.sizes.paced_seconds)
    seconds = time.monotonic() - began_at
    after = run.cpu()
    return {kind: (after[kind] - before[kind]) / seconds for kind in KINDS}

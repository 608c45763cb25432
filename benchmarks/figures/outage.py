"""What a webhook that is down costs: its rows, its disk, and the others' time."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from benchmarks.arithmetic import medians, percentile, ratio, rounded
from benchmarks.bench import Bench
from benchmarks.contenders import FANFARE, Setup
from benchmarks.figures.sizing import BYTES
from benchmarks.run import Run, running
from router.testing import open_deliveries

SUBSCRIBERS = 5
EVENTS_PER_S = 20.0
#: Nothing listens there.
DEAD = "http://127.0.0.1:1026/"
PUBLISHERS = 2
MAX_SECONDS = 900.0
SETTLE_SECONDS = 3.0
#: Name of a figure → its value in one round.
Values = dict[str, float]


def outage(bench: Bench) -> dict[str, Any]:
    """The others' p99 beside an endpoint that is down, and what that one owns."""
    rounds: dict[bool, list[Values]] = defaultdict(list)
    titles = {False: "no endpoint is down", True: "an endpoint is down"}
    for is_down in bench.in_turn(titles):
        rounds[is_down].append(_round(bench, is_down=is_down))
    return {"outage": _figure(bench, medians(rounds[True]), medians(rounds[False]))}


def _figure(
    bench: Bench, beside: Mapping[str, Any], without: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "events": bench.sizes.outage,
        "rows": beside["rows"],
        # Both have as many events.
        "mib": rounded(beside["mib"] - without["mib"]),
        "events_per_s": EVENTS_PER_S,
        **{
            name: value
            for key in ("p50_ms", "p99_ms", "per_s")
            for name, value in (
                (f"{key}_with", beside[key]),
                (f"{key}_without", without[key]),
                (f"{key}_ratio", ratio(beside[key], without[key])),
            )
        },
    }


def _round(bench: Bench, *, is_down: bool) -> Values:
    setup = Setup(
        subscribers=SUBSCRIBERS,
        is_timed=True,
        queues="router.default",
        other_queues=("router.webhooks",),
        endpoints=int(is_down),
        receiver=DEAD,
    )
    with running(bench, FANFARE, setup) as run:
        run.play("fill", count=1)
        run.start()
        run.wait_for_dispatcher()
        began_at = time.time()
        run.play("burst", publishers=PUBLISHERS, count=bench.sizes.outage, first=1)
        _wait_for_others(run, 1 + bench.sizes.outage)
        count, seconds = run.after_first(run.finished(began_at))
        time.sleep(SETTLE_SECONDS)
        waits = _waits(bench, run)
        return {
            "per_s": count / seconds,
            "p50_ms": percentile(waits, 0.5) or 0.0,
            "p99_ms": percentile(waits, 0.99) or 0.0,
            "rows": open_deliveries(),
            "mib": run.ask(BYTES) / 1024**2,
        }


def _waits(bench: Bench, run: Run) -> list[float]:
    began_ns, before = time.time_ns(), run.finished(0.0).count
    seconds = bench.sizes.paced_seconds
    (published,) = run.play("paced", rate=EVENTS_PER_S, seconds=seconds, first=10**9)
    _wait_for_others(run, before // SUBSCRIBERS + published["count"])
    return [wait.ms for wait in run.waits() if wait.published_ns >= began_ns]


def _wait_for_others(run: Run, events: int) -> None:
    """Wait until the handlers have acknowledged so many events in all."""
    run.wait(lambda: run.finished(0.0).count >= events * SUBSCRIBERS, MAX_SECONDS)

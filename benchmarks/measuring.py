"""Measures one run: of a backlog, or while publishers publish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.bench import Bench
from benchmarks.contenders import PUBLISHER, Contender, Setup
from benchmarks.run import Run, running

DONE_SECONDS = 300.0
LIVE_PUBLISHERS = 2
#: Of a backlog, that must be left when all workers are ready.
MIN_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The figures of a run in which every delivery was done."""

    per_s: float
    #: Kind of process → CPU seconds for 10,000 deliveries.
    cpu: Mapping[str, float]
    #: Kind of process → MiB of its largest process.
    rss: Mapping[str, float]


def backlog(
    bench: Bench, contender: Contender, setup: Setup, *, share: float = 1.0
) -> Measured:
    """From the first acknowledgement after all workers are ready until nothing is
    left."""
    deliveries = bench.sizes.share(contender.name, int(bench.sizes.backlog * share))
    events = deliveries // setup.subscribers
    with running(bench, contender, setup) as run:
        run.play("fill", count=events)
        ready_at = run.start()
        before = run.cpu()
        deliveries = events * setup.subscribers
        done = run.wait_done(deliveries, since=ready_at, seconds=DONE_SECONDS)
        if done.count < deliveries * MIN_SHARE:
            # A tiny backlog is done before all workers are ready.
            done = run.finished(0.0)
        return measured(run, before, deliveries, *run.after_first(done))


def live(bench: Bench, contender: Contender, setup: Setup) -> Measured:
    """From the first event, while workers wait for it, to the last acknowledgement."""
    deliveries = bench.sizes.share(contender.name, bench.sizes.live)
    events = deliveries // setup.subscribers // LIVE_PUBLISHERS * LIVE_PUBLISHERS
    with running(bench, contender, setup) as run:
        run.start()
        run.wait_for_dispatcher()
        before = run.cpu()
        published = run.play("burst", publishers=LIVE_PUBLISHERS, count=events)
        deliveries = events * setup.subscribers
        done = run.wait_done(deliveries, seconds=DONE_SECONDS)
        began_at = min(publisher["began_at"] for publisher in published)
        before[PUBLISHER] = -sum(publisher["cpu_s"] for publisher in published)
        seconds = done.last_at - began_at
        whole = measured(run, before, deliveries, deliveries, seconds)
        rss = max(publisher["rss_mib"] for publisher in published)
        return replace(whole, rss={**whole.rss, PUBLISHER: rss})


def measured(
    run: Run, before: dict[str, float], deliveries: int, count: int, seconds: float
) -> Measured:
    """`count` of the `deliveries` were done within `seconds`; CPU since `before`."""
    after = {PUBLISHER: 0.0, **run.cpu()}
    cpu = {
        kind: (after[kind] - used) * 10_000 / deliveries
        for kind, used in before.items()
    }
    return Measured(per_s=count / max(seconds, 1e-3), cpu=cpu, rss=run.rss())

"""One run of one contestant: from a backlog, or while publishers run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.bench import Bench
from benchmarks.contenders import PUBLISHER, Contestant, Setup
from benchmarks.run import Stage, on_stage

DONE_SECONDS = 900.0
LIVE_PUBLISHERS = 2
#: Of a backlog, to be done by all workers together.
MIN_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a run came to; every delivery of it was done."""

    per_s: float
    #: Kind of process → CPU seconds for 10,000 deliveries.
    cpu: Mapping[str, float]
    #: Kind of process → MiB of its largest process.
    rss: Mapping[str, float]


def backlog(
    bench: Bench, one: Contestant, setup: Setup, *, share: float = 1.0
) -> Measured:
    """From the moment when all workers are up and at work until nothing is left."""
    deliveries = bench.sizes.share(one.name, int(bench.sizes.backlog * share))
    events = deliveries // setup.subscribers
    with on_stage(bench, one, setup) as stage:
        stage.act("fill", count=events)
        ready_at = stage.start()
        before = stage.cpu()
        deliveries = events * setup.subscribers
        done = stage.wait_done(deliveries, since=ready_at, seconds=DONE_SECONDS)
        if done.count < deliveries * MIN_SHARE:
            # Over before all were up, as tiny backlogs are.
            done = stage.finished(0.0)
            ready_at = 0.0
        seconds = done.last_at - max(ready_at, done.first_at)
        return measured(stage, before, deliveries, done.count, seconds)


def live(bench: Bench, one: Contestant, setup: Setup) -> Measured:
    """From the first event, while workers wait for it, to the last acknowledgement."""
    deliveries = bench.sizes.share(one.name, bench.sizes.live)
    events = deliveries // setup.subscribers // LIVE_PUBLISHERS * LIVE_PUBLISHERS
    with on_stage(bench, one, setup) as stage:
        stage.start()
        stage.wait_for_dispatchers()
        before = stage.cpu()
        told = stage.act("burst", publishers=LIVE_PUBLISHERS, count=events)
        deliveries = events * setup.subscribers
        done = stage.wait_done(deliveries, seconds=DONE_SECONDS)
        began_at = min(publisher["began_at"] for publisher in told)
        before[PUBLISHER] = -sum(publisher["cpu_s"] for publisher in told)
        seconds = done.last_at - began_at
        found = measured(stage, before, deliveries, deliveries, seconds)
        rss = max(publisher["rss_mib"] for publisher in told)
        return replace(found, rss={**found.rss, PUBLISHER: rss})


def measured(
    stage: Stage, before: dict[str, float], deliveries: int, count: int, seconds: float
) -> Measured:
    """`count` of the `deliveries` were done within `seconds`; CPU since `before`."""
    after = {PUBLISHER: 0.0, **stage.cpu()}
    cpu = {
        kind: (after[kind] - used) * 10_000 / deliveries
        for kind, used in before.items()
    }
    return Measured(per_s=count / max(seconds, 1e-3), cpu=cpu, rss=stage.rss())

"""Webhooks a second of one worker process, posted and durably acknowledged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.arithmetic import median, ratio, rounded, spread
from benchmarks.bench import Bench
from benchmarks.contenders import REQUESTS, WEBHOOKS, Contestant, Setup
from benchmarks.measuring import DONE_SECONDS, Measured, measured
from benchmarks.receiver import ANSWER_MS
from benchmarks.receiving import Receiver, receiving
from benchmarks.run import NotDone, Stage, on_stage

#: The most that may be set: by default one endpoint alone cannot keep a process busy.
RAISED_IN_FLIGHT = 1000
#: As production starts the worker of webhooks.
OURS = Setup(pool="threads", workers=16, subscribers=0)
THEIRS = Setup(pool="threads", workers=64, subscribers=0, endpoints=1)

ONE = "one_endpoint"
TEN = "ten_endpoints"
OTHER = "threads_requests"
RUNS: dict[str, tuple[Contestant, Setup]] = {
    OTHER: (REQUESTS, THEIRS),
    ONE: (WEBHOOKS, OURS.but(endpoints=1, in_flight=RAISED_IN_FLIGHT)),
    TEN: (WEBHOOKS, OURS.but(endpoints=10)),
}


def webhooks(bench: Bench) -> dict[str, Any]:
    found: dict[str, list[Measured]] = defaultdict(list)
    for number in range(bench.sizes.rounds):
        for name, (one, setup) in RUNS.items():
            bench.tell(f"round {number + 1}: {one.title}, {name}")
            found[name].append(_one_round(bench, one, setup))
    return {"webhooks": entry(found, count=bench.sizes.webhooks)}


def entry(found: Mapping[str, Sequence[Measured]], *, count: int) -> dict[str, Any]:
    rates = {name: [run.per_s for run in runs] for name, runs in found.items()}
    per_s = {name: median(values) for name, values in rates.items()}
    return {
        "per_s": rounded(per_s[ONE]),
        "per_s_ten_endpoints": rounded(per_s[TEN]),
        "threads_requests_per_s": rounded(per_s[OTHER]),
        "ratio_to_threads_requests": ratio(per_s[ONE], per_s[OTHER]),
        "ratio_to_threads_requests_ten_endpoints": ratio(per_s[TEN], per_s[OTHER]),
        "receiver_ms": ANSWER_MS,
        "worker_processes": 1,
        "threads": {name: setup.workers for name, (_, setup) in RUNS.items()},
        "in_flight_limit": {name: setup.in_flight for name, (_, setup) in RUNS.items()},
        "count": count,
        "cpu_s_per_10k": {name: _cpu(runs) for name, runs in found.items()},
        "spread": {name: spread(values) for name, values in rates.items()},
    }


def _one_round(bench: Bench, one: Contestant, setup: Setup) -> Measured:
    with receiving(bench.folder) as receiver:
        at_it = setup.but(receiver=receiver.url)
        with on_stage(bench, one, at_it) as stage:
            return _worked_off(stage, receiver, bench.sizes.webhooks)


def _worked_off(stage: Stage, receiver: Receiver, count: int) -> Measured:
    """From the first post that came to the last acknowledgement in the database."""
    stage.act("fill", count=count // stage.setup.endpoints)
    stage.start()
    before = stage.cpu()
    done = stage.wait_done(count, seconds=DONE_SECONDS)
    received = receiver.received()
    if received.posts < count:
        raise NotDone(f"Only {received.posts:,} of {count:,} webhooks were received")
    run = measured(stage, before, count, count, done.last_at - received.first_at)
    return replace(run, cpu={**run.cpu, "receiver": receiver.cpu() * 10_000 / count})


def _cpu(runs: Sequence[Measured]) -> dict[str, float | None]:
    kinds = sorted({kind for run in runs for kind in run.cpu if kind != "publisher"})
    return {kind: rounded(median([run.cpu[kind] for run in runs])) for kind in kinds}

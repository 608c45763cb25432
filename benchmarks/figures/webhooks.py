"""Webhooks a second of one worker process, posted and durably acknowledged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.arithmetic import median, medians, ratio, rounded, spread
from benchmarks.bench import Bench
from benchmarks.contenders import (
    PUBLISHER,
    REQUESTS,
    WEBHOOKS,
    Contender,
    Setup,
)
from benchmarks.measuring import DONE_SECONDS, Measured, measured
from benchmarks.receiver import RESPONSE_MS, Receiver, receiving
from benchmarks.run import NotDone, Run, running

#: The highest limit: with the default, one endpoint cannot keep a process busy.
RAISED_IN_FLIGHT = 1000
#: As production starts the worker of webhooks.
OURS = Setup(pool="threads", workers=16, subscribers=0)
THEIRS = Setup(pool="threads", workers=64, subscribers=0, endpoints=1)

ONE = "one_endpoint"
TEN = "ten_endpoints"
OTHER = "threads_requests"
RUNS: dict[str, tuple[Contender, Setup]] = {
    OTHER: (REQUESTS, THEIRS),
    ONE: (WEBHOOKS, OURS.but(endpoints=1, in_flight=RAISED_IN_FLIGHT)),
    TEN: (WEBHOOKS, OURS.but(endpoints=10)),
}


def webhooks(bench: Bench) -> dict[str, Any]:
    runs_of: dict[str, list[Measured]] = defaultdict(list)
    titles = {
        name: f"{contender.title}, {name}" for name, (contender, _) in RUNS.items()
    }
    for name in bench.in_turn(titles):
        runs_of[name].append(_one_round(bench, *RUNS[name]))
    return {"webhooks": entry(runs_of, count=bench.sizes.webhooks)}


def entry(runs_of: Mapping[str, Sequence[Measured]], *, count: int) -> dict[str, Any]:
    rates = {name: [run.per_s for run in runs] for name, runs in runs_of.items()}
    per_s = {name: median(values) for name, values in rates.items()}
    return {
        "per_s": rounded(per_s[ONE]),
        "per_s_ten_endpoints": rounded(per_s[TEN]),
        "threads_requests_per_s": rounded(per_s[OTHER]),
        "ratio_to_threads_requests": ratio(per_s[ONE], per_s[OTHER]),
        "ratio_to_threads_requests_ten_endpoints": ratio(per_s[TEN], per_s[OTHER]),
        "receiver_ms": RESPONSE_MS,
        "worker_processes": 1,
        "threads": {name: setup.workers for name, (_, setup) in RUNS.items()},
        "in_flight_limit": {name: setup.in_flight for name, (_, setup) in RUNS.items()},
        "count": count,
        "cpu_s_per_10k": {name: _cpu(runs) for name, runs in runs_of.items()},
        "spread": {name: spread(values) for name, values in rates.items()},
    }


def _one_round(bench: Bench, contender: Contender, setup: Setup) -> Measured:
    with receiving(bench.folder) as receiver:
        posting = setup.but(receiver=receiver.url)
        with running(bench, contender, posting) as run:
            return _worked_off(run, receiver, bench.sizes.webhooks)


def _worked_off(run: Run, receiver: Receiver, count: int) -> Measured:
    """From the first post that came to the last acknowledgement in the database."""
    run.play("fill", count=count // run.setup.endpoints)
    run.start()
    before = run.cpu()
    done = run.wait_done(count, seconds=DONE_SECONDS)
    received = receiver.received()
    if received.posts < count:
        raise NotDone(f"Only {received.posts:,} of {count:,} webhooks were received")
    whole = measured(run, before, count, count, done.last_at - received.first_at)
    return replace(
        whole, cpu={**whole.cpu, "receiver": receiver.cpu() * 10_000 / count}
    )


def _cpu(runs: Sequence[Measured]) -> dict[str, float | None]:
    """Without publishers: filling the backlog does not count."""
    spent = medians([run.cpu for run in runs])
    return {kind: value for kind, value in spent.items() if kind != PUBLISHER}

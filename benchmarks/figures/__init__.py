"""One file for each family of figures; each figure is a function of a `Bench`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures.catching_up import catching_up
from benchmarks.figures.foreign import foreign
from benchmarks.figures.growth import growth
from benchmarks.figures.idle import idle
from benchmarks.figures.isolation import isolation
from benchmarks.figures.latency import latency_ms
from benchmarks.figures.outage import outage
from benchmarks.figures.publishing import publish_added_ms, publish_throughput
from benchmarks.figures.scaling import scaling
from benchmarks.figures.sizing import sizing
from benchmarks.figures.throughput import main_cells, throughput
from benchmarks.figures.uninterested import uninterested
from benchmarks.figures.webhooks import webhooks

Figure = Callable[[Bench], dict[str, Any]]


def _main_throughput(bench: Bench) -> dict[str, Any]:
    return throughput(bench, main_cells())


def _main_latency(bench: Bench) -> dict[str, Any]:
    return latency_ms(bench, ("20/s",))


#: Name → what gives the JSON's keys of it; in the order of running.
FIGURES: dict[str, Figure] = {
    "publish_added_ms": publish_added_ms,
    "publish_throughput": publish_throughput,
    "throughput": throughput,
    "latency_ms": latency_ms,
    "growth": growth,
    "scaling": scaling,
    "isolation": isolation,
    "outage": outage,
    "catching_up": catching_up,
    "webhooks": webhooks,
    "foreign": foreign,
    "sizing": sizing,
    "idle": idle,
    "uninterested": uninterested,
}
#: What `--quick` runs.
QUICK: dict[str, Figure] = {
    "publish_added_ms": publish_added_ms,
    "throughput": _main_throughput,
    "latency_ms": _main_latency,
}
